package view

import (
	"context"
	"fmt"
	"sync"

	"grapevine/fleet"
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
	slots := make(chan struct{}, fleet.MaxAskedAtOnce)
	var all sync.WaitGroup
	for i := range hosts.Items {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			parts[i], errs[i] = v.VerifyHost(ctx, hosts.Items[i].ID)
		})
	}
	all.Wait()
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

// copies finds instances that more than one host shows.
func (v *View) copies() []fleet.Finding {
	rows := map[fleet.InstanceID][]fleet.Instance{}
	for b := range v.cfg.Source.Replica().Blocks() {
		for row := range b.Instances() {
			row.HostName = b.HostName()
			rows[row.ID] = append(rows[row.ID], row)
		}
	}
	var out []fleet.Finding
	for _, copies := range rows {
		if len(copies) > 1 || !copies[0].SupersededBy.IsZero() {
			out = append(out, v.judgeCopies(copies)...)
		}
	}
	return out
}

// judgeCopies says of each copy that does not count, and of those that run
// beside another, what they are.
func (v *View) judgeCopies(copies []fleet.Instance) []fleet.Finding {
	var out []fleet.Finding
	running := 0
	for i := range copies {
		if copies[i].Power == fleet.PowerRunning || copies[i].Power == fleet.PowerPaused {
			running++
		}
	}
	first := owner(copies)
	for i := range copies {
		row := &copies[i]
		f := fleet.Finding{Host: row.Host, HostName: row.HostName, Instance: row.ID}
		up := row.Power == fleet.PowerRunning || row.Power == fleet.PowerPaused
		switch {
		case up && running > 1:
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
