package exchange

import (
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// host is what this node's links have to know of one host that is held.
type host struct {
	id       fleet.HostID
	tag      wire.Tag
	block    *replica.Block // the one held
	mark     mark           // of block
	version  place          // in the news of versions
	later    place          // in those left to others
	heard    place          // in the news of signs of life
	sharesIt *host          // the next host with the same tag
}

// tagged yields the hosts held under a tag.
func (e *Exchange) tagged(tag wire.Tag) func(yield func(*host) bool) {
	return func(yield func(*host) bool) {
		for h := e.hosts[tag]; h != nil && yield(h); h = h.sharesIt {
		}
	}
}

// single returns the one host held under tag, or nil where none or several
// are.
func (e *Exchange) single(tag wire.Tag) *host {
	if h := e.hosts[tag]; h != nil && h.sharesIt == nil {
		return h
	}
	return nil
}

// shared reports whether several hosts are held under tag: then versions
// cannot tell which of them is meant.
func (e *Exchange) shared(tag wire.Tag) bool {
	h := e.hosts[tag]
	return h != nil && h.sharesIt != nil
}

// hostOf returns the entry of a host, a new one where there is none.
func (e *Exchange) hostOf(tag wire.Tag, id fleet.HostID) *host {
	for h := range e.tagged(tag) {
		if h.id == id {
			return h
		}
	}
	h := e.newHost()
	*h = host{id: id, tag: tag, sharesIt: e.hosts[tag]}
	e.hosts[tag] = h
	return h
}

// hostsAtOnce is how many entries are made at once: they are many, and stay.
const hostsAtOnce = 32

func (e *Exchange) newHost() *host {
	if len(e.room) == 0 {
		e.room = make([]host, hostsAtOnce)
	}
	h := &e.room[0]
	e.room = e.room[1:]
	return h
}

// knows notes that p holds the version of h that is held here, or is being sent it.
func (e *Exchange) knows(p *Peer, h *host) {
	h.version.known |= p.slot
	h.later.known |= p.slot
	if h.id == e.id {
		p.holds = h.mark
	}
}

// took notes that the replica holds b now, which from brought, tells all peers
// but those who are known to hold it or whom others tell, and settles what was
// wanted.
func (e *Exchange) took(tag wire.Tag, b *replica.Block, from *Peer, now time.Time) {
	h := e.hostOf(tag, b.HostID())
	h.block, h.mark = b, markOf(b.Head())
	known := from.slot
	if w, wanted := e.wants.Get(tag); wanted {
		for _, o := range w.offers {
			if o.mark.compare(h.mark) >= 0 {
				known |= o.slot
			}
		}
	}
	left := e.leftToOthers(from, tag) &^ known
	h.later.known = ^left
	if left != 0 {
		e.put(&e.later, h, ^left)
	}
	if told := known | left; told&e.slots == e.slots {
		h.version.known = told // nobody is left to tell, and nothing to wake up for
	} else {
		e.put(&e.versions, h, told)
		e.tell(now)
	}
	if w, wanted := e.wants.Get(tag); wanted && h.mark.compare(w.mark) >= 0 && e.single(tag) != nil {
		e.settle(tag)
	}
}

// lacks reports whether mark m under tag is newer than what is held. With a
// tag shared by several hosts it answers for the one furthest behind: a want
// too many, never one too few.
func (e *Exchange) lacks(tag wire.Tag, m mark) bool {
	self := e.isSelf(tag)
	if self && m.compare(e.ownMark()) > 0 {
		return true
	}
	for h := range e.tagged(tag) {
		if own := self && h.id == e.id; !own && m.compare(h.mark) > 0 {
			return true
		}
	}
	return e.hosts[tag] == nil && !self
}

func (e *Exchange) isSelf(tag wire.Tag) bool { return e.owner && tag == e.tag }

// ownMark is the newest version of this node's own host that it has published
// or heard.
func (e *Exchange) ownMark() mark {
	own := e.heardSelf
	if b := e.replica.Block(e.id); b != nil && markOf(b.Head()).compare(own) > 0 {
		own = markOf(b.Head())
	}
	return own
}
