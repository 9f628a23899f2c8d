package mesh

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// askPeersFor is how long an agent waits for its peers to say what they heard
// of it, before it publishes without them. Should they say more later, it
// raises its epoch then.
const askPeersFor = 3 * time.Second

// keepEpoch settles the epoch before anything is published, and raises it
// whenever a peer turns out to hold something newer of this host than its
// agent published.
func (m *Mesh) keepEpoch(ctx context.Context) error {
	journal, _, err := m.cfg.Epochs.LoadEpoch()
	if err != nil {
		return fmt.Errorf("load epoch: %w", err)
	}
	if !m.askPeers(ctx) {
		return nil
	}
	for {
		heard, err := m.takeSelf()
		if err != nil {
			return err
		}
		if !m.Settled() || heard > 0 && heard >= journal {
			if journal, err = m.raise(max(journal, heard) + 1); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.selfHeard:
		}
	}
}

// askPeers waits until enough peers have said hello, which tells what they
// hold of this host. It returns false when ctx ended.
func (m *Mesh) askPeers(ctx context.Context) bool {
	deadline := time.NewTimer(askPeersFor)
	defer deadline.Stop()
	for !m.heardEnough() {
		changed := m.members.Changed()
		if m.heardEnough() {
			break
		}
		select {
		case <-ctx.Done():
			return false
		case <-deadline.C:
			return true
		case <-changed:
		case <-m.selfHeard: // also said for every new link
		}
	}
	return true
}

// heardEnough reports whether as many peers were heard as this node would have
// links, or as there are. Alone, with none to join, there is nobody to hear.
func (m *Mesh) heardEnough() bool {
	others := len(m.otherAgents())
	if others == 0 {
		return len(m.cfg.Join) == 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.links) >= min(others, m.cfg.Links)
}

// otherAgents returns the agents that Serf says are alive, without this one.
func (m *Mesh) otherAgents() []fleet.Member {
	var others []fleet.Member
	for _, o := range m.members.Members() {
		if o.Role == fleet.RoleAgent && o.Status == fleet.MemberAlive && o.ID != m.cfg.ID {
			others = append(others, o)
		}
	}
	return others
}

// takeSelf returns the highest epoch in which peers hold this host, where this
// agent has to rise above it, or 0. It fails when another machine published
// that block.
func (m *Mesh) takeSelf() (uint64, error) {
	m.mu.Lock()
	life, heard := m.exchange.TakeSelf()
	m.mu.Unlock()
	if !heard {
		return 0, nil
	}
	if ours := m.cfg.Hardware; life.Hardware != "" && ours != "" && life.Hardware != ours {
		return 0, cloned(m.cfg.ID, life.Hardware, ours)
	}
	m.cfg.Log.Info("peers hold this host already", "epoch", life.Epoch, "seq", life.Seq)
	return life.Epoch, nil
}

// raise makes the epoch durable, then begins it and publishes what there is.
func (m *Mesh) raise(epoch uint64) (uint64, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	incarnation := max(binary.BigEndian.Uint64(random[:]), 1)
	if err := m.cfg.Epochs.StoreEpoch(epoch, incarnation); err != nil {
		return 0, fmt.Errorf("store epoch %d: %w", epoch, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.origin.Begin(epoch, incarnation)
	m.settled = true
	if m.waiting {
		m.publishLocked(m.unsaid, time.Now())
	}
	m.cfg.Log.Info("epoch settled", "epoch", epoch)
	return epoch, nil
}

// lifeOf returns what is held of a peer's own block, to tell it in a hello.
func (m *Mesh) lifeOf(id fleet.HostID) *wire.Life {
	b := m.replica.Block(id)
	if b == nil {
		return nil
	}
	h := b.Head()
	host, _ := b.Host()
	return &wire.Life{Epoch: h.Epoch, Incarnation: h.Incarnation, Seq: h.Seq, Hardware: host.Hardware}
}
