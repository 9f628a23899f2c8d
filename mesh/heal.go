package mesh

import (
	"context"
	"math/rand/v2"
	"sync"

	"grapevine/fleet"
	"grapevine/internal/pause"
)

// heal dials, now and then, a random agent that gossip has lost: after a cut
// longer than Serf's own memory this is what brings two halves together again.
// A success is an extra link, which settles into the others with the next
// redraw, and a Serf join.
func (m *Mesh) heal(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for pause.For(ctx, jitter(healEvery)) {
		lost, linked := m.lost()
		for _, l := range linked {
			m.rejoin(ctx, l.hello.Gossip)
		}
		if len(lost) == 0 {
			continue
		}
		to := lost[rand.IntN(len(lost))] // no secret
		l, err := m.open(ctx, to)
		if err != nil {
			m.logDial(to, err)
			continue
		}
		m.cfg.Log.Info("lost agent answers", "peer", to.ID, "peer_name", to.Name)
		wg.Go(func() { _ = m.serve(ctx, l, func() {}) })
		m.rejoin(ctx, l.hello.Gossip)
	}
	return nil
}

// lost returns the agents that gossip says have failed or has never heard of,
// and those among them that there is a link with all the same.
func (m *Mesh) lost() (unlinked []fleet.Member, linked []*link) {
	known, missing := map[fleet.UUID]bool{m.cfg.ID: true}, map[fleet.UUID]fleet.Member{}
	for _, o := range m.members.Members() {
		known[o.ID] = true
		if o.Status == fleet.MemberFailed && o.Role == fleet.RoleAgent && o.ID != m.cfg.ID {
			missing[o.ID] = o
		}
	}
	for b := range m.replica.Blocks() {
		if id := b.HostID(); !known[id] {
			missing[id] = fleet.Member{ID: id, Name: b.HostName(), Role: fleet.RoleAgent}
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for l := range m.links {
		if _, gone := missing[l.peer.ID]; gone {
			linked = append(linked, l)
			delete(missing, l.peer.ID)
		}
	}
	for _, o := range missing {
		if !m.dials.busy[o.ID] {
			unlinked = append(unlinked, o)
		}
	}
	return unlinked, linked
}

// rejoin brings the gossip of a lost agent that a link has reached back
// together with this node's.
func (m *Mesh) rejoin(ctx context.Context, gossip string) {
	if gossip == "" || ctx.Err() != nil {
		return
	}
	if err := m.members.Join(gossip); err != nil {
		m.cfg.Log.Debug("gossip not joined", "address", gossip, "error", err)
	}
}
