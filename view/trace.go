package view

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
)

// Trace says which node learnt the newest version of a host's block from whom
// and when. Unless q is local it asks all members that are alive, and blocks
// until each has answered or had its time, ten seconds at most; those that do
// not answer are listed as such.
func (v *View) Trace(ctx context.Context, q fleet.TraceQuery) (fleet.Trace, error) {
	trace := fleet.Trace{Host: q.Host}
	if !q.Instance.IsZero() {
		row, err := v.Instance(ctx, q.Instance)
		if err != nil {
			return fleet.Trace{}, err
		}
		trace.Instance, trace.InstanceName, trace.InstanceVersion, trace.Host = row.ID, row.Name, row.Version, row.Host
	}
	if v.cfg.Source.Replica().Block(trace.Host) == nil && !q.Local {
		return fleet.Trace{}, noHost(trace.Host.String())
	}
	list, err := v.Members(ctx)
	if err != nil {
		return fleet.Trace{}, err
	}
	names := map[fleet.UUID]string{}
	for _, m := range list.Items {
		names[m.ID] = m.Name
	}
	trace.HostName = v.HostName(trace.Host)
	self, err := v.memberNamed(ctx, "")
	if err != nil {
		return fleet.Trace{}, err
	}
	trace.Nodes = []fleet.TracedNode{v.traced(trace.Host, self)}
	if !q.Local {
		trace.Nodes = append(trace.Nodes, v.tracedElsewhere(ctx, trace.Host, v.others(list.Items))...)
		trace.Nodes[0] = v.traced(trace.Host, self) // as it is by now, like the others
	}
	v.sumUp(&trace, names)
	return trace, nil
}

// sumUp fills in what follows from the nodes' answers.
func (v *View) sumUp(trace *fleet.Trace, names map[fleet.UUID]string) {
	trace.Asked = len(trace.Nodes)
	for i := range trace.Nodes {
		n := &trace.Nodes[i]
		if n.Error == "" {
			trace.Answered++
		}
		if n.Version.Host == trace.Host && n.Version.AtLeast(trace.Version) || trace.Version.IsZero() {
			trace.Version = n.Version
		}
		if !n.From.IsZero() {
			n.FromName = cmp.Or(names[n.From], n.From.String())
		}
	}
	slices.SortFunc(trace.Nodes, func(a, b fleet.TracedNode) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Node.Compare(b.Node))
	})
}

// traced is what this node knows.
func (v *View) traced(host fleet.HostID, self fleet.Member) fleet.TracedNode {
	n := fleet.TracedNode{Node: self.ID, Name: self.Name, Role: self.Role, Origin: self.ID == host}
	blocks := v.cfg.Source.Replica()
	n.Version = blocks.Version(host)
	from, at, ok := blocks.Learnt(host)
	if !ok || at.IsZero() {
		return n
	}
	wall := at.Round(0).UTC()
	n.From, n.At, n.AgeMS = from, &wall, max(v.cfg.Now().Sub(at).Milliseconds(), 0)
	return n
}

// tracedElsewhere asks the members for the same.
func (v *View) tracedElsewhere(ctx context.Context, host fleet.HostID, members []fleet.Member) []fleet.TracedNode {
	answers := askAll(ctx, v, members, func(ctx context.Context, peer *client.Client) (fleet.Trace, error) {
		return peer.Trace(ctx, fleet.TraceQuery{Host: host, Local: true})
	})
	now := v.cfg.Now()
	nodes := make([]fleet.TracedNode, 0, len(answers))
	for _, a := range answers {
		n := fleet.TracedNode{Node: a.member.ID, Name: a.member.Name, Role: a.member.Role}
		switch {
		case a.err != nil:
			n.Error = whySilent(a.err)
		case len(a.said.Nodes) != 1:
			n.Error = "its answer is not about itself"
		default:
			own := a.said.Nodes[0]
			n.Version, n.From, n.Origin, n.At, n.AgeMS = own.Version, own.From, own.Origin, own.At, own.AgeMS
			if own.At != nil {
				n.AgeMS += max(now.Sub(a.at).Milliseconds(), 0)
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// whySilent says why a node gave no answer.
func whySilent(err error) string {
	if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) {
		return "it serves plain HTTP, to its own machine alone; ask it there"
	}
	return err.Error()
}
