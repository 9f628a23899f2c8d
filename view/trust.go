package view

import (
	"cmp"
	"context"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
)

// TrustLists returns the lists of roots that anybody holds, as far as this node has
// heard. They prove themselves, or not.
func (v *View) TrustLists() []string {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.facts.index.Trusts()
}

// TrustReport says which roots this node trusts and, unless only that is wanted, asks
// all others. Nodes that cannot be asked are in the answer, with why.
func (v *View) TrustReport(ctx context.Context, local bool) (fleet.TrustReport, error) {
	out := v.cfg.Trust()
	out.Nodes[0].Name = cmp.Or(v.HostName(out.Nodes[0].ID), out.Nodes[0].Name)
	if local {
		return out, nil
	}
	known, err := v.trustees(ctx)
	if err != nil {
		return fleet.TrustReport{}, err
	}
	members, err := v.Members(ctx)
	if err != nil {
		return fleet.TrustReport{}, err
	}
	for _, a := range askAll(ctx, v, v.others(members.Items), func(ctx context.Context, peer *client.Client) (fleet.TrustReport, error) {
		return peer.TrustReport(ctx, true)
	}) {
		row := known[a.member.ID]
		switch {
		case a.err != nil:
			row.Error = a.err.Error()
		case len(a.said.Nodes) != 1 || a.said.Nodes[0].ID != a.member.ID:
			row.Error = "it did not speak of itself"
		default:
			published := row.Root
			row = a.said.Nodes[0]
			row.Root = cmp.Or(published, row.Root) // others judge its block by what they heard
			row.Name = cmp.Or(a.member.Name, row.Name)
		}
		known[a.member.ID] = row
	}
	delete(known, out.Nodes[0].ID)
	for _, row := range known {
		out.Nodes = append(out.Nodes, row)
	}
	slices.SortFunc(out.Nodes, func(a, b fleet.TrustNode) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name), a.ID.Compare(b.ID))
	})
	return out, nil
}

// trustees are all nodes that the fleet has not forgotten, each as one that has not
// answered.
func (v *View) trustees(ctx context.Context) (map[fleet.UUID]fleet.TrustNode, error) {
	out := map[fleet.UUID]fleet.TrustNode{}
	members, err := v.Members(ctx)
	if err != nil {
		return nil, err
	}
	revoked := v.RevokedHosts()
	for _, m := range members.Items {
		row := fleet.TrustNode{ID: m.ID, Name: m.Name, Role: m.Role, Trusts: []string{}, Error: "it is " + string(m.Status)}
		switch _, is := revoked[m.ID]; {
		case m.Status == fleet.MemberLeft:
			row.GivenUp = "left"
		case is && m.Status != fleet.MemberAlive:
			row.GivenUp = "revoked"
		}
		out[m.ID] = row
	}
	hosts, err := v.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	for i := range hosts.Items {
		h := &hosts.Items[i]
		row := fleet.TrustNode{ID: h.ID, Name: h.Name, Role: fleet.RoleAgent, Trusts: []string{}, Error: "it is " + string(h.Reachability)}
		_, is := revoked[h.ID]
		switch {
		case h.DeclaredDead != nil:
			row.GivenUp = "declared dead"
		case h.Reachability == fleet.ReachLeft:
			row.GivenUp = "left"
		case is && h.Reachability != fleet.ReachOK:
			row.GivenUp = "revoked"
		}
		if v.cfg.RootOf != nil {
			if b := v.cfg.Source.Replica().Block(h.ID); b != nil {
				row.Root = v.cfg.RootOf(b.Credential())
			}
		}
		out[h.ID] = row
	}
	return out, nil
}
