package replica

import (
	"iter"
	"sync/atomic"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Replica holds the newest known block of every host ever heard. Apply,
// Install, Heard and the other methods marked "writer" may be called by one
// goroutine at a time; all others by anyone at any time, without waiting.
type Replica struct {
	hosts    hosts
	projects projects
	places   index       // of instances by id
	members  index       // of instances by project, then id
	room     [2][]uint64 // writer: the numbers of a host on their way into both
	// moves counts the changes of the indexes, twice each: it is odd while one is
	// under way. Who finds it even, and the same afterwards, has read indexes
	// that name exactly what the blocks have.
	moves   atomic.Uint64
	buckets [wire.Buckets]atomic.Uint64
	root    atomic.Uint64
	changes changes
	arena   arena

	zero   time.Time // what times in notes are since: the first that was told
	sharer Sharer

	verifier Verifier // nil where nobody verifies
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

// New returns an empty replica. It weighs two and a half kilobytes; all else
// grows with what it holds.
func New() *Replica {
	r := &Replica{}
	r.hosts.init()
	r.projects.init()
	return r
}

// Len returns the number of hosts held.
func (r *Replica) Len() int { return len(r.hosts.all()) }

// Block returns the newest block of a host, or nil where none was heard.
func (r *Replica) Block(id fleet.HostID) *Block {
	if e := r.hosts.find(id); e != nil {
		return e.block.Load()
	}
	return nil
}

// Blocks yields the newest block of every host, in the order of host ids.
func (r *Replica) Blocks() iter.Seq[*Block] {
	return func(yield func(*Block) bool) {
		for _, e := range r.hosts.inOrder() {
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

// Age returns how long before now the host was surely alive in the version
// held, and false where this node has had no sign of life since it started.
// It waits for nothing and compares no two machines' clocks.
func (r *Replica) Age(id fleet.HostID, now time.Time) (time.Duration, bool) {
	sign := r.Sign(id)
	if sign == nil {
		return 0, false
	}
	return sign.Age(now), true
}

// Learnt returns from which peer this node learnt the version that it holds of
// a host, and when: the zero UUID and the time of publication for its own. It
// reports false where no block is held.
func (r *Replica) Learnt(id fleet.HostID) (from fleet.UUID, at time.Time, ok bool) {
	e := r.hosts.find(id)
	if e == nil {
		return fleet.UUID{}, time.Time{}, false
	}
	n := e.note.Load()
	return n.from, r.zero.Add(n.learnt), true
}

// Sign returns the last sign of life of a host, or nil.
func (r *Replica) Sign(id fleet.HostID) *Sign {
	e := r.hosts.find(id)
	if e == nil {
		return nil
	}
	n := e.note.Load()
	if n.beat == 0 {
		return nil
	}
	return &Sign{Epoch: n.epoch, Beat: n.beat, AgeMS: n.ageMS, At: r.zero.Add(n.at)}
}
