package replica

import (
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Replica holds the newest known block of every host ever heard. Apply,
// Install, Heard and the other methods marked "writer" may be called by one
// goroutine at a time; all others by anyone at any time, without waiting.
type Replica struct {
	hosts   atomic.Pointer[[]*entry] // ordered by host id; replaced when a host is first heard
	buckets [wire.Buckets]atomic.Uint64
	root    atomic.Uint64
	places  places
	changes changes

	byTag map[wire.Tag][]*entry // writer
}

// entry is one host's place in the replica; it stays for good.
type entry struct {
	id     fleet.HostID
	tag    wire.Tag
	block  atomic.Pointer[Block]  // never nil
	sign   atomic.Pointer[Sign]   // nil: not heard since this node started
	source atomic.Pointer[source] // never nil
}

// source is how a version came to this node.
type source struct {
	from fleet.UUID
	at   time.Time
}

// Sign is the last sign of life that this node has of a host.
type Sign struct {
	Epoch uint64
	Beat  uint64
	// AgeMS is how old the sign was when it came, At when it came.
	AgeMS uint64
	At    time.Time
}

// Age returns how long ago the host was surely alive.
func (s *Sign) Age(now time.Time) time.Duration {
	return time.Duration(s.AgeMS)*time.Millisecond + max(now.Sub(s.At), 0)
}

// New returns an empty replica.
func New() *Replica {
	r := &Replica{byTag: map[wire.Tag][]*entry{}}
	r.hosts.Store(&[]*entry{})
	r.changes.init()
	return r
}

func (r *Replica) entry(id fleet.HostID) *entry {
	all := *r.hosts.Load()
	i, found := slices.BinarySearchFunc(all, id, func(e *entry, id fleet.HostID) int { return e.id.Compare(id) })
	if !found {
		return nil
	}
	return all[i]
}

// Len returns the number of hosts held.
func (r *Replica) Len() int { return len(*r.hosts.Load()) }

// Block returns the newest block of a host, or nil where none was heard.
func (r *Replica) Block(id fleet.HostID) *Block {
	if e := r.entry(id); e != nil {
		return e.block.Load()
	}
	return nil
}

// Blocks yields the newest block of every host, in the order of host ids.
func (r *Replica) Blocks() iter.Seq[*Block] {
	return func(yield func(*Block) bool) {
		for _, e := range *r.hosts.Load() {
			if !yield(e.block.Load()) {
				return
			}
		}
	}
}

// Version returns the newest version held of a host, zero where none is.
func (r *Replica) Version(id fleet.HostID) fleet.Version {
	if b := r.Block(id); b != nil {
		return b.Version()
	}
	return fleet.Version{}
}

// Instance returns the blocks that have a row with this id, in the order of
// host ids: none, one, or more while an instance moves or has a twin. Which of
// them owns it is for the reader to judge.
func (r *Replica) Instance(id fleet.InstanceID) []*Block {
	var found []*Block
	for _, host := range r.places.hosts(id) {
		b := r.Block(host)
		if _, there := b.Row(wire.InstanceKey(id)); there {
			found = append(found, b)
		}
	}
	return found
}

// Age returns how long before now the host was surely alive in the version
// held, and false where this node has had no sign of life since it started.
// It waits for nothing and compares no two machines' clocks.
func (r *Replica) Age(id fleet.HostID, now time.Time) (time.Duration, bool) {
	e := r.entry(id)
	if e == nil {
		return 0, false
	}
	sign := e.sign.Load()
	if sign == nil {
		return 0, false
	}
	return sign.Age(now), true
}

// Tagged returns the blocks of all hosts with this tag (writer).
func (r *Replica) Tagged(tag wire.Tag) []*Block {
	var found []*Block
	for _, e := range r.byTag[tag] {
		found = append(found, e.block.Load())
	}
	return found
}

// Learnt returns from which peer this node learnt the version that it holds of
// a host, and when: the zero UUID and the time of publication for its own. It
// reports false where no block is held.
func (r *Replica) Learnt(id fleet.HostID) (from fleet.UUID, at time.Time, ok bool) {
	e := r.entry(id)
	if e == nil {
		return fleet.UUID{}, time.Time{}, false
	}
	s := e.source.Load()
	return s.from, s.at, true
}

// Sign returns the last sign of life of a host, or nil.
func (r *Replica) Sign(id fleet.HostID) *Sign {
	if e := r.entry(id); e != nil {
		return e.sign.Load()
	}
	return nil
}
