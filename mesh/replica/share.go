package replica

import "grapevine/fleet"

// Sharer lets the replicas of one process hold equal blocks once. Share is
// called with a block that was merged and checked against its head; it returns
// an equal one that another replica holds already, or the same one. Simulations
// of thousands of nodes need it, and no daemon.
type Sharer interface {
	Share(b *Block) *Block
}

// ShareWith sets what Apply shares blocks with (writer).
func (r *Replica) ShareWith(s Sharer) { r.sharer = s }

// Shelf is a Sharer that knows the newest block of each host. It is for one
// goroutine at a time, as the replicas are that use it.
type Shelf struct{ newest map[fleet.HostID]*Block }

// Share implements Sharer.
func (s *Shelf) Share(b *Block) *Block {
	held := s.newest[b.head.Host]
	switch {
	case held == nil || b.head.Compare(&held.head) > 0:
		if s.newest == nil {
			s.newest = map[fleet.HostID]*Block{}
		}
		s.newest[b.head.Host] = b
		return b
	case held.head == b.head:
		return held
	default:
		return b
	}
}
