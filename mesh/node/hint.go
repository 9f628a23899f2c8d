package node

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// hintFor is how long a hint stands: by then Serf has judged.
const hintFor = 15 * time.Second

// hints is whom this agent no longer hears.
type hints struct {
	of []hint
}

type hint struct {
	fleet.Hint
	sign  replica.Sign // the last one held of the subject
	until time.Time
}

// lostSight hints that the peer of a link is no longer heard, unless another
// link hears it.
func (n *Node) lostSight(l *Link, now time.Time) {
	subject := l.hello.ID
	if n.own.origin == nil || l.hello.Role != fleet.RoleAgent || n.closed || n.heardOn(subject, now) || n.hinted(subject) {
		return
	}
	h := hint{Hint: fleet.Hint{Subject: subject, Heard: n.replica.Version(subject)}, until: now.Add(hintFor)}
	if s := n.replica.Sign(subject); s != nil {
		h.sign = *s
	}
	n.hints.of = append(n.hints.of, h)
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

// forgetHints takes hints back whose subject is heard again, or whose time is
// over.
func (n *Node) forgetHints(now time.Time) {
	before := len(n.hints.of)
	if before == 0 {
		return
	}
	n.hints.of = slices.DeleteFunc(n.hints.of, func(h hint) bool { return due(h.until, now) || n.heardAgain(&h, now) })
	if len(n.hints.of) != before {
		n.restate(now)
	}
}

func (n *Node) heardAgain(h *hint, now time.Time) bool {
	held := n.replica.Version(h.Subject)
	if held != h.Heard && held.AtLeast(h.Heard) || n.heardOn(h.Subject, now) {
		return true
	}
	s := n.replica.Sign(h.Subject)
	return s != nil && (s.Epoch > h.sign.Epoch || s.Epoch == h.sign.Epoch && s.Beat > h.sign.Beat)
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
