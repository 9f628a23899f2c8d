package replica

import (
	"cmp"
	"slices"
	"strings"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Found is an instance's row that a query found, not decoded yet.
type Found struct {
	Block *Block
	at    int
}

// Row returns the row.
func (f Found) Row() Row { return f.Block.rows.row(f.at) }

// ID returns the instance's id.
func (f Found) ID() fleet.InstanceID { return fleet.InstanceID([]byte(f.rawID())) }

// Instance decodes the row, as Block.Instance does.
func (f Found) Instance() (fleet.Instance, bool) { return f.Block.instance(f.at) }

func (f Found) rawID() string { return f.Block.rows.key(f.at).ID }

func (f Found) prefix() uint32 { return f.Block.rows.prefix(f.at) }

func (f Found) sameID(g Found) bool { return f.prefix() == g.prefix() && f.rawID() == g.rawID() }

// compare orders by instance, then by host.
func (f Found) compare(g Found) int {
	if c := cmp.Compare(f.prefix(), g.prefix()); c != 0 {
		return c // without a look at the rows
	}
	if c := strings.Compare(f.rawID(), g.rawID()); c != 0 {
		return c
	}
	return f.Block.head.Host.Compare(g.Block.head.Host)
}

// Find returns the rows with an instance's id, in the order of their hosts'
// ids: none, one, or more while it moves or has a twin. A row that cannot be
// decoded is among them.
func (r *Replica) Find(id fleet.InstanceID) []Found {
	var space [2]Found
	found := space[:0]
	key := wire.InstanceKey(id)
	lo := placeOf(id[:], 0)
	last := -1
	r.places.between(lo, lo|(1<<numberBits-1), func(k uint64) {
		number := int(k & (1<<numberBits - 1))
		if number == last {
			return // two ids that begin alike
		}
		last = number
		b := r.hosts.all()[number].block.Load()
		if at, ok := b.rows.find(key); ok {
			found = append(found, Found{b, at})
		}
	})
	if len(found) > 1 {
		slices.SortFunc(found, Found.compare)
		found = slices.CompactFunc(found, func(a, b Found) bool { return a.Block.head.Host == b.Block.head.Host })
	}
	return slices.Clone(found)
}
