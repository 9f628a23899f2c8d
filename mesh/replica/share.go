package replica

// Sharer lets the replicas of one process hold equal blocks once. Share is
// called with a block that was merged and checked against its head; it returns
// an equal one that another replica holds already, or the same one. Simulations
// of thousands of nodes need it, and no daemon. Replicas with different writers
// may call it at the same time.
type Sharer interface {
	Share(b *Block) *Block
}

// ShareWith sets what Apply shares blocks with (writer).
func (r *Replica) ShareWith(s Sharer) { r.sharer = s }
