package replica

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// hosts is the table of all hosts ever heard. A host gets a number when it is
// first heard, by which indexes name it. Readers find a host by its id without
// a lock: entries are only ever added.
type hosts struct {
	numbered atomic.Pointer[[]*entry] // by number
	byID     atomic.Pointer[slots]
	sorted   atomic.Pointer[[]*entry] // by id; made when it is asked for
	spare    []entry                  // writer
}

// entry is one host's place in the replica; it stays for good.
type entry struct {
	id     fleet.HostID
	tag    wire.Tag
	number uint16
	block  atomic.Pointer[Block] // never nil
	note   atomic.Pointer[note]  // never nil
}

// note is what this node knows of how it came by a host's state. Times are
// since the replica's zero, to take half the room and keep time's monotonic
// reading.
type note struct {
	from   fleet.UUID    // who brought the version held
	learnt time.Duration // when
	epoch  uint64        // of the last sign of life; beat 0 for none
	beat   uint64
	ageMS  uint64
	at     time.Duration
}

// slots is an open hash table of numbers, each plus one, at most 3/4 full.
type slots []atomic.Uint32

func (h *hosts) init() {
	h.numbered.Store(&[]*entry{})
	h.byID.Store(&slots{})
}

func (h *hosts) all() []*entry { return *h.numbered.Load() }

// spread mixes both halves of the id: vendors give all their machines the same
// first bytes.
func spread(id fleet.HostID) uint32 {
	mixed := (binary.LittleEndian.Uint64(id[:8]) ^ binary.LittleEndian.Uint64(id[8:])) * 0x9E3779B97F4A7C15
	return uint32(mixed >> 32) // the upper half
}

// walk calls f with the numbers that may have this hash until it returns true.
func (s slots) walk(hash uint32, f func(number int) bool) {
	for i := hash; len(s) > 0; i++ {
		n := s[int(i)&(len(s)-1)].Load() // a power of two
		if n == 0 || f(int(n)-1) {
			return
		}
	}
}

func (s slots) put(hash uint32, number int) {
	for i := hash; ; i++ {
		if at := &s[int(i)&(len(s)-1)]; at.Load() == 0 {
			at.Store(uint32(number) + 1) // bounded by fleet.MaxHostsHeld
			return
		}
	}
}

func (h *hosts) find(id fleet.HostID) (found *entry) {
	all := h.all()
	h.byID.Load().walk(spread(id), func(n int) bool {
		if n < len(all) && all[n].id == id {
			found = all[n]
		}
		return found != nil
	})
	return found
}

// entry returns the entry of a new host, which add adds before the next is
// asked for. Many are made at once, so that they lie together (writer).
func (h *hosts) entry(id fleet.HostID) *entry {
	if len(h.spare) == 0 {
		h.spare = make([]entry, min(max(len(h.all()), 1), 256))
	}
	e := &h.spare[0]
	h.spare = h.spare[1:]
	e.id, e.tag, e.number = id, wire.TagOf(id), uint16(len(h.all())) // bounded by fleet.MaxHostsHeld
	return e
}

// add lets readers see e, which entry returned last (writer).
func (h *hosts) add(e *entry) {
	all := append(h.all(), e)
	h.numbered.Store(&all)
	if ids := *h.byID.Load(); len(all)*4 > len(ids)*3 {
		ids = make(slots, max(8, 2*len(ids)))
		for n, e := range all {
			ids.put(spread(e.id), n)
		}
		h.byID.Store(&ids)
		return
	}
	h.byID.Load().put(spread(e.id), len(all)-1)
}

// inOrder returns all hosts in the order of their ids.
func (h *hosts) inOrder() []*entry {
	all := h.all()
	if sorted := h.sorted.Load(); sorted != nil && len(*sorted) == len(all) {
		return *sorted
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b *entry) int { return a.id.Compare(b.id) })
	h.sorted.Store(&sorted)
	return sorted
}
