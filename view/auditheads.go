package view

import (
	"cmp"
	"context"
	"math/bits"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// auditSlots is how many names of entries are remembered of each host: slot k has
// the last of those whose turn 2^k divides and no higher power, so that they lie
// further apart the older they are, back to 2^7 heads and more. 8 of 40 B and
// their map are 4 MB for fleet.MaxHosts hosts.
const auditSlots = 8

// heardAudit is what this node has heard of one host's audit log.
type heardAudit struct {
	slots [auditSlots]fleet.AuditLink
	turn  uint64
	// last is the head as it was heard last, and highest the one with the highest
	// number ever: a log that was cut back has a head below it.
	last, highest fleet.AuditLink
	// lost is the highest as it was when the log first went back: it stays.
	lost fleet.AuditLink
	// odd counts heads that do not go on from the highest.
	odd uint64
}

// hear takes in a head.
func (h *heardAudit) hear(link fleet.AuditLink) {
	if link == h.last {
		return
	}
	if link.Number <= h.highest.Number {
		h.odd++
		if h.lost.Number == 0 {
			h.lost = h.highest
		}
	}
	if h.last = link; link.Number > h.highest.Number {
		h.highest = link
	}
	h.turn++
	h.slots[min(bits.TrailingZeros64(h.turn), auditSlots-1)] = link
}

// links returns what is remembered, by number.
func (h *heardAudit) links() []fleet.AuditLink {
	all := append(slices.Clone(h.slots[:]), h.last, h.highest, h.lost)
	all = slices.DeleteFunc(all, func(l fleet.AuditLink) bool { return l.Number == 0 })
	slices.SortFunc(all, func(a, b fleet.AuditLink) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Hash, b.Hash))
	})
	return slices.Compact(all)
}

// hearAudit takes in the head that a host's row bears. One that bore a head once,
// and bears none now, lost its log. The caller holds mu.
func (v *View) hearAudit(b *replica.Block) {
	host, ok := b.Host()
	if !ok || b.HostID() == v.cfg.Self {
		return // what a host says of itself proves nothing
	}
	held := v.audits[host.ID]
	switch {
	case held == nil && host.Audit == nil:
	case held == nil:
		held = &heardAudit{}
		v.audits[host.ID] = held
		held.hear(*host.Audit)
	case host.Audit == nil:
		held.hear(fleet.AuditLink{})
	default:
		held.hear(*host.Audit)
	}
}

// oddAudits counts the heads that went back, of all hosts.
func (v *View) oddAudits() (n uint64) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, h := range v.audits {
		n += h.odd
	}
	return n
}

// AuditHeads returns what this node has heard of a host's audit log and, unless
// only that is wanted, what all others have that answer: it asks them.
func (v *View) AuditHeads(ctx context.Context, id fleet.HostID, local bool) (fleet.AuditHeads, error) {
	if _, err := v.Host(ctx, id); err != nil {
		return fleet.AuditHeads{}, err
	}
	self, err := v.memberNamed(ctx, "")
	if err != nil {
		return fleet.AuditHeads{}, err
	}
	out := fleet.AuditHeads{Host: id, Items: []fleet.AuditHeard{}}
	v.mu.RLock()
	if held := v.audits[id]; held != nil {
		for _, link := range held.links() {
			out.Items = append(out.Items, fleet.AuditHeard{AuditLink: link, Node: self.ID, NodeName: self.Name})
		}
	}
	v.mu.RUnlock()
	if local {
		return out, nil
	}
	list, err := v.Members(ctx)
	if err != nil {
		return fleet.AuditHeads{}, err
	}
	others := slices.DeleteFunc(v.others(list.Items), func(m fleet.Member) bool { return m.ID == id })
	out.Nodes.Known = len(others)
	for _, a := range askAll(ctx, v, others, func(ctx context.Context, peer *client.Client) (fleet.AuditHeads, error) {
		return peer.AuditHeads(ctx, id, true)
	}) {
		if a.err != nil {
			continue
		}
		out.Nodes.Heard++
		for _, h := range a.said.Items {
			out.Items = append(out.Items, fleet.AuditHeard{AuditLink: h.AuditLink, Node: a.member.ID, NodeName: a.member.Name})
		}
	}
	return out, ctx.Err()
}
