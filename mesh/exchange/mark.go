package exchange

import (
	"cmp"

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
