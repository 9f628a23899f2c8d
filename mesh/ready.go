package mesh

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"grapevine/fleet"
)

// firstStart is how long a node waits, at a fleet's first start when nobody is
// ready yet, for the blocks of all agents that Serf lists.
const firstStart = 10 * time.Second

// Ready returns nil when this node may answer for the fleet, and otherwise an
// error that says what it waits for. An agent is ready when its epoch is
// settled. A registry is ready when it has merged the digest of a peer that is
// itself ready, or, at a fleet's first start, holds a block or a stated
// absence of every agent that Serf lists (it waits for these at most 10 s).
func (m *Mesh) Ready() error {
	if m.cfg.Role == fleet.RoleAgent {
		if !m.Settled() {
			return errors.New("waiting for peers to say what they last heard of this host")
		}
		return nil
	}
	return m.evaluate(time.Now())
}

// Whole returns nil once this node holds the whole fleet, as far as it can
// know, and otherwise an error that says what it waits for. It is what a
// registry's Ready asks; an agent that has just started may be settled, and
// still lack most of the fleet.
func (m *Mesh) Whole() error { return m.evaluate(time.Now()) }

// evaluate is Whole at a moment; once nil it stays so. What it says is passed on in hellos and pings, so that
// newcomers know from whom a digest is worth having.
func (m *Mesh) evaluate(now time.Time) error {
	m.mu.Lock()
	done := m.whole
	m.mu.Unlock()
	if done {
		return nil
	}
	others := m.otherAgents()
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.missing(others, now)
	m.whole = err == nil
	return err
}

func (m *Mesh) missing(others []fleet.Member, now time.Time) error {
	if m.started.IsZero() {
		return errLeaving
	}
	merged, absent, patient := false, map[fleet.HostID]bool{}, now.Sub(m.started) < firstStart
	for l := range m.links {
		if !l.peer.Merged() {
			continue
		}
		if l.ready.Load() {
			return nil
		}
		merged = true
		absent[l.peer.ID] = !l.hello.Settled
	}
	switch {
	case len(others) == 0 && m.cfg.Role == fleet.RoleAgent && (len(m.cfg.Join) == 0 || !patient):
		return nil // alone: what this agent holds is all there is
	case len(others) == 0:
		return errors.New("no agent is known yet; check join, the gossip key and the fleet's label")
	case !merged:
		return fmt.Errorf("no link to any of the %d agents known has told its digest yet", len(others))
	case !patient:
		return nil
	}
	var waiting []string
	for _, o := range others {
		if m.replica.Block(o.ID) == nil && !absent[o.ID] {
			waiting = append(waiting, o.Name)
		}
	}
	if len(waiting) > 0 {
		return fmt.Errorf("waiting for %d of %d agents, first %s", len(waiting), len(others), strings.Join(waiting[:min(3, len(waiting))], ", "))
	}
	return nil
}
