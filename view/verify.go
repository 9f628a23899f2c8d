package view

import (
	"context"
	"fmt"
	"slices"

	"grapevine/fleet"
	"grapevine/internal/atonce"
)

// VerifyHost has a host look through what it has, as it is now.
func (v *View) VerifyHost(ctx context.Context, id fleet.HostID) (fleet.Verification, error) {
	if _, err := v.Host(ctx, id); err != nil {
		return fleet.Verification{}, err
	}
	return ask(ctx, v, id, func(ctx context.Context, at Local) (fleet.Verification, error) { return at.VerifyHost(ctx, id) })
}

// Verify has every host look through what it has, and adds what only the fleet
// shows. It blocks until each host has answered or had its time. A host that did
// not answer is a finding.
func (v *View) Verify(ctx context.Context) (fleet.Verification, error) {
	hosts, err := v.Hosts(ctx)
	if err != nil {
		return fleet.Verification{}, err
	}
	parts := make([]fleet.Verification, len(hosts.Items))
	errs := make([]error, len(hosts.Items))
	atonce.Each(len(hosts.Items), fleet.MaxAskedAtOnce, func(i int) {
		parts[i], errs[i] = v.VerifyHost(ctx, hosts.Items[i].ID)
	})
	out := fleet.Verification{Items: v.copies(), Coverage: fleet.Coverage{Known: len(hosts.Items)}}
	for i, host := range hosts.Items {
		if errs[i] != nil {
			out.Items = append(out.Items, fleet.Finding{
				Type: fleet.FindNotAsked, Host: host.ID, HostName: host.Name,
				What: fmt.Sprintf("host %s was not looked through: %v", host.Name, errs[i]),
				Do:   "bring it back, and verify again; nothing is known of its machines until then",
			})
			continue
		}
		out.Coverage.Heard++
		out.Items = append(out.Items, parts[i].Items...)
	}
	out.Order()
	return out, ctx.Err()
}

// copies judges the instances that more than one host shows, or that their host
// holds for another's: rows as readers see them, so that a host which somebody
// declared dead does not count, and one forgotten is not there. Only these are
// kept decoded, of a million.
func (v *View) copies() []fleet.Finding {
	gone := v.goneNow()
	shown := map[fleet.InstanceID]int{}
	var doubted []fleet.InstanceID
	for b := range v.cfg.Source.Replica().Blocks() {
		if gone[b.HostID()] {
			continue
		}
		for row := range b.Instances() {
			if shown[row.ID]++; shown[row.ID] == 2 || shown[row.ID] == 1 && !row.SupersededBy.IsZero() {
				doubted = append(doubted, row.ID)
			}
		}
	}
	slices.SortFunc(doubted, fleet.UUID.Compare)
	var out []fleet.Finding
	for _, id := range slices.Compact(doubted) {
		out = append(out, v.judgeCopies(v.decode(v.cfg.Source.Replica().Find(id), gone))...)
	}
	return out
}

// runs reports whether a copy is one that may do harm beside another: what a
// host that was declared dead last said of its machines is not.
func runs(row *fleet.Instance) bool { return row.Power.Awake() && !row.HostDeclaredDead }

// judgeCopies says of each copy that does not count, and of those that run
// beside another, what they are.
func (v *View) judgeCopies(copies []fleet.Instance) []fleet.Finding {
	var out []fleet.Finding
	running := 0
	for i := range copies {
		if runs(&copies[i]) {
			running++
		}
	}
	first := owner(copies)
	for i := range copies {
		row := &copies[i]
		f := fleet.Finding{Host: row.Host, HostName: row.HostName, Instance: row.ID}
		switch {
		case runs(row) && running > 1:
			f.Type = fleet.FindTwin
			f.What = fmt.Sprintf("instance %s (%s) runs at host %s and at another host as well", row.Name, row.ID, row.HostName)
			f.Do = "stop one of them at its hypervisor, or say which counts with: grapevine instance adopt, at the agent of its host"
		case !row.SupersededBy.IsZero() || i != first:
			by := copies[first].HostName
			if !row.SupersededBy.IsZero() {
				by = v.HostName(row.SupersededBy)
			}
			f.Type = fleet.FindWrongHost
			f.What = fmt.Sprintf("host %s has a copy of instance %s (%s), and the one at host %s counts", row.HostName, row.Name, row.ID, by)
			f.Do = fmt.Sprintf("look at it, and let go of it with: grapevine instance disown %s, at the agent of host %s", row.ID, row.HostName)
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}
