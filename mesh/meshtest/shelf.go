package meshtest

import (
	"sync"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// Shelf is a replica.Sharer that knows the newest block of each host, so that
// the members of a large fleet hold equal blocks once.
type Shelf struct {
	boards [64]board // by host
}

// board is a part of a shelf that is locked alone.
type board struct {
	mu     sync.Mutex
	newest map[fleet.HostID]*replica.Block // guarded by mu
}

var _ replica.Sharer = (*Shelf)(nil)

// Share implements replica.Sharer.
func (s *Shelf) Share(b *replica.Block) *replica.Block {
	head := b.Head()
	board := &s.boards[int(head.Host[len(head.Host)-1])%len(s.boards)]
	board.mu.Lock()
	defer board.mu.Unlock()
	held := board.newest[head.Host]
	if held == nil {
		return board.put(head, b)
	}
	on := held.Head()
	switch {
	case head.Compare(&on) > 0:
		return board.put(head, b)
	case on == head:
		return held
	default:
		return b
	}
}

func (b *board) put(head wire.Head, block *replica.Block) *replica.Block {
	if b.newest == nil {
		b.newest = map[fleet.HostID]*replica.Block{}
	}
	b.newest[head.Host] = block
	return block
}
