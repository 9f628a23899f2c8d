package node

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

const (
	// hintFor is how long a hint stands: by then Serf has judged.
	hintFor = 15 * time.Second
	// onItsWay is how long what a host said before it was lost may still come by
	// way of others: they tell some of their news with their next pulse only.
	onItsWay = pulseEvery
)

// hints is whom this agent no longer hears.
type hints struct {
	of []hint
}

type hint struct {
	fleet.Hint
	lost time.Time
}

// lostSight hints that the peer of a link is no longer heard, unless another
// link hears it.
func (n *Node) lostSight(l *Link, now time.Time) {
	subject := l.hello.ID
	if n.own.origin == nil || l.hello.Role != fleet.RoleAgent || n.closed || n.heardOn(subject, now) || n.hinted(subject) {
		return
	}
	n.hints.of = append(n.hints.of, hint{Hint: fleet.Hint{Subject: subject, Heard: n.replica.Version(subject)}, lost: now})
	n.cfg.Log.Debug("peer no longer heard", "peer", subject, "peer_name", l.hello.Name)
	n.restate(now)
}

// heardOn reports whether some link hears the subject.
func (n *Node) heardOn(subject fleet.HostID, now time.Time) bool {
	return slices.ContainsFunc(n.links, func(l *Link) bool {
		return l.hello.ID == subject && now.Sub(l.heard) < missed
	})
}

func (n *Node) hinted(subject fleet.HostID) bool {
	return slices.ContainsFunc(n.hints.of, func(h hint) bool { return h.Subject == subject })
}

// reviewHints takes hints back whose subject is heard again, or whose time is
// over. What the subject said before it was lost, and others told since, is no
// sign of life: a hint then names that version, or it would be void.
func (n *Node) reviewHints(now time.Time) {
	stated := len(n.hints.of)
	n.hints.of = slices.DeleteFunc(n.hints.of, func(h hint) bool { return due(h.lost.Add(hintFor), now) || n.heardAgain(&h, now) })
	changed := len(n.hints.of) != stated
	for i := range n.hints.of {
		h := &n.hints.of[i]
		if held := n.replica.Version(h.Subject); held != h.Heard {
			h.Heard, changed = held, true
		}
	}
	if changed {
		n.restate(now)
	}
}

// heardAgain reports whether the subject of a hint surely lived after it was
// lost: in another life, or by the age of what came of it.
func (n *Node) heardAgain(h *hint, now time.Time) bool {
	if n.replica.Version(h.Subject).Epoch > h.Heard.Epoch || n.heardOn(h.Subject, now) {
		return true
	}
	s := n.replica.Sign(h.Subject)
	return s != nil && now.Add(-s.Age(now)).After(h.lost.Add(onItsWay))
}

// restate publishes the own rows again, with the hints as they are now.
func (n *Node) restate(now time.Time) {
	if n.own.stated && n.epoch.settled && !n.closed {
		n.publish(now)
	}
}

func (n *Node) withHints(rows []replica.OwnRow) []replica.OwnRow {
	if len(n.hints.of) == 0 {
		return rows
	}
	all := slices.Clone(rows)
	for i := range n.hints.of {
		h := &n.hints.of[i]
		all = append(all, replica.OwnRow{Key: wire.HintKey(h.Subject), Body: wire.EncodeHint(h.Hint)})
	}
	return all
}
