package exchange

import (
	"cmp"

	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// mark is a version as links speak of it. Announcements leave the incarnation
// out (0); it is compared only where both sides name it.
type mark struct {
	epoch       uint64
	incarnation uint64
	seq         uint64
}

func markOf(h wire.Head) mark { return mark{h.Epoch, h.Incarnation, h.Seq} }

// compare orders marks as wire.Head.Compare orders heads, as far as is known.
func (m mark) compare(o mark) int {
	if c := cmp.Compare(m.epoch, o.epoch); c != 0 {
		return c
	}
	if m.incarnation != 0 && o.incarnation != 0 && m.incarnation != o.incarnation {
		return cmp.Compare(m.incarnation, o.incarnation)
	}
	return cmp.Compare(m.seq, o.seq)
}

// lacks reports whether mark m under tag is newer than what is held. With a
// tag shared by several hosts it answers for the one furthest behind: a want
// too many, never one too few.
func (e *Exchange) lacks(tag wire.Tag, m mark) bool {
	self := e.isSelf(tag)
	if self && m.compare(e.ownMark()) > 0 {
		return true
	}
	held := e.replica.Tagged(tag)
	for _, b := range held {
		if own := self && b.HostID() == e.self; !own && m.compare(markOf(b.Head())) > 0 {
			return true
		}
	}
	return len(held) == 0 && !self
}

func (e *Exchange) isSelf(tag wire.Tag) bool { return e.owner && tag == e.selfTag }

// ownMark is the newest version of this node's own host that it has published
// or heard.
func (e *Exchange) ownMark() mark {
	own := e.heardSelf
	if b := e.replica.Block(e.self); b != nil && markOf(b.Head()).compare(own) > 0 {
		own = markOf(b.Head())
	}
	return own
}

// single returns the one block held under tag, or nil where none or several
// are.
func (e *Exchange) single(tag wire.Tag) *replica.Block {
	if held := e.replica.Tagged(tag); len(held) == 1 {
		return held[0]
	}
	return nil
}
