package agent

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"grapevine/agent/journal"
	"grapevine/agent/quarantine"
	"grapevine/fleet"
)

// deciding are the verbs by which a person decides between two copies.
var deciding = []string{string(fleet.Adopt), string(fleet.Disown)}

// starting are the verbs that may bring a machine up that is down.
var starting = []string{string(fleet.Start), string(fleet.RevertSnapshot)}

// counts says why nothing may be done to a copy of an instance: another one
// counts, or nobody can say which does, or the host does not know yet. The caller
// holds the lock.
func (s *state) counts(row *fleet.Instance, verb string, nameOf func(fleet.HostID) string) error {
	switch {
	case slices.Contains(deciding, verb):
		return nil
	case !row.SupersededBy.IsZero():
		return errorf(fleet.CodeSuperseded,
			"instance %s at host %s is superseded by the copy at host %s; nothing is done to it: let go of it with: grapevine instance disown, or make it the one that counts with: grapevine instance adopt, both at the agent of host %s",
			row.ID, s.base.Name, nameOf(row.SupersededBy), s.base.Name)
	case s.verdict.Frozen[row.ID]:
		return errorf(fleet.CodeTwin,
			"instance %s runs at host %s and at host %s, and nothing is done to either copy; stop one of them at its hypervisor, or say which counts with: grapevine instance adopt, at the agent of its host",
			row.ID, s.base.Name, nameOf(row.Twin))
	case s.back.On() && slices.Contains(starting, verb):
		return errorf(fleet.CodeQuarantined, "host %s is quarantined and starts nothing: %s", s.base.Name, quarantine.Reason(&s.back, &s.verdict))
	default:
		return nil
	}
}

// stillCounts says why an operation that was under way when the host went away is
// not taken up again.
func (a *Agent) stillCounts(op *journal.Operation) error {
	if slices.Contains(deciding, op.Verb) || op.Moving != nil && op.Moving.Given {
		return nil // of an instance that this host has given away another copy counts
	}
	a.state.mu.Lock()
	by := a.state.verdict.Superseded[op.Instance]
	a.state.mu.Unlock()
	if by.IsZero() {
		return nil
	}
	return errorf(fleet.CodeSuperseded, "%s: the copy at host %s counts", op.Verb, a.View.HostName(by))
}

// tellReturn says in the log what changed.
func (a *Agent) tellReturn(held, next *quarantine.State, was, verdict *quarantine.Verdict) {
	switch {
	case next.On() && (!held.On() || was.Waits != verdict.Waits):
		a.log.Warn("host is quarantined", "reason", quarantine.Reason(next, verdict))
	case held.On() && !next.On():
		a.log.Info("host has left quarantine")
	}
	for id, by := range verdict.Superseded {
		if was.Superseded[id] != by {
			a.log.Warn("instance is superseded", "instance", id, "by", by, "by_name", a.View.HostName(by))
		}
	}
	for id, other := range verdict.Twins {
		if was.Twins[id] != other {
			a.log.Error("instance runs twice", "instance", id, "other", other, "other_name", a.View.HostName(other), "frozen", verdict.Frozen[id])
		}
	}
}

// countReturn adds the metrics of what came back.
func (a *Agent) countReturn() {
	gauge := func(name, help string, value func(*state) int) {
		a.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			a.state.mu.Lock()
			defer a.state.mu.Unlock()
			return float64(value(a.state))
		}))
	}
	gauge("grapevine_agent_quarantined", "1 while this host is in quarantine.", func(s *state) int {
		if s.back.On() {
			return 1
		}
		return 0
	})
	gauge("grapevine_agent_instances_superseded", "Instances of this host that another host's copy supersedes.", func(s *state) int { return len(s.verdict.Superseded) })
	gauge("grapevine_agent_instances_twin", "Instances of this host of which a copy runs elsewhere too.", func(s *state) int { return len(s.verdict.Twins) })
}
