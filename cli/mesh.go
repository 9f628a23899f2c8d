package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) meshCommand() []*cobra.Command {
	return []*cobra.Command{group("mesh", "What the gossip knows, from whom, and how old it is", []*cobra.Command{
		{Use: "members", Short: "List the processes in the mesh", Args: takes(), RunE: meshVerb(a, (*client.Client).Members, a.membersTable)},
		{Use: "links", Short: "List the streams between this node and its peers", Args: takes(), RunE: meshVerb(a, (*client.Client).Links, linksTable)},
		{Use: "digest", Short: "Show what this node holds of each host; equal roots mean equal fleets", Args: takes(), RunE: meshVerb(a, (*client.Client).Digest, digestTable)},
		{Use: "lag", Short: "Show how far this node is behind each host", Args: takes(), RunE: meshVerb(a, (*client.Client).Lag, lagTable)},
	})}
}

// meshVerb is a read of one mesh route.
func meshVerb[T any](a *app, read func(*client.Client, context.Context) (T, error), shown func(T) written) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		answer, err := read(node, cmd.Context())
		if err != nil {
			return err
		}
		return a.print(answer, func() written { return shown(answer) })
	}
}

func (a *app) membersTable(members fleet.List[fleet.Member]) written {
	t := &table{columns: []column{{title: "NAME"}, {title: "ID"}, {title: "ROLE"}, {title: "STATUS"}, {title: "GOSSIP"}, {title: "API"}, {title: "PROTOCOL", right: true}}}
	ids := make([]string, len(members.Items))
	for i, m := range members.Items {
		ids[i] = m.ID.String()
	}
	length := shortest(ids)
	for i, m := range members.Items {
		t.add(text(m.Name), cell{shorten(ids[i], length), faint}, text(string(m.Role)), memberStatus(m.Status), text(m.Gossip), text(m.API), number(int64(m.Protocol)))
	}
	return t
}

func memberStatus(s fleet.MemberStatus) cell {
	switch s {
	case fleet.MemberAlive:
		return cell{string(s), good}
	case fleet.MemberFailed:
		return cell{string(s), bad}
	case fleet.MemberLeaving, fleet.MemberLeft:
	}
	return cell{string(s), uneasy}
}

func linksTable(links fleet.List[fleet.Link]) written {
	t := &table{columns: []column{
		{title: "PEER"},
		{title: "ID"},
		{title: "DIRECTION"},
		{title: "UP", right: true},
		{title: "RTT", right: true},
		{title: "SENT", right: true},
		{title: "RECEIVED", right: true},
		{title: "ANNOUNCED", right: true},
		{title: "WANTED", right: true},
		{title: "DIRTY", right: true},
	}}
	for _, l := range links.Items {
		direction := "in"
		if l.Outbound {
			direction = "out"
		}
		t.add(text(l.PeerName), cell{shorten(l.Peer.String(), 8), faint}, text(direction), text(ageMS(l.UpMS)), text(rtt(&l)),
			text(byteSize(int64(l.SentBytes))), text(byteSize(int64(l.ReceivedBytes))),
			text(fmt.Sprint(l.Announced)), text(fmt.Sprint(l.Wanted)), number(int64(l.Dirty)))
	}
	return t
}

// digest shows the root above the rows.
type digestView struct {
	root string
	rows *table
}

func (d digestView) write(w io.Writer, colour bool) error {
	if _, err := fmt.Fprintf(w, "root %s over %s\n", visible(d.root), plural(len(d.rows.rows), "host")); err != nil {
		return err
	}
	return d.rows.write(w, colour)
}

func digestTable(d fleet.Digest) written {
	t := &table{columns: []column{
		{title: "HOST"},
		{title: "ID"},
		{title: "EPOCH", right: true},
		{title: "SEQ", right: true},
		{title: "ROWS", right: true},
		{title: "SIZE", right: true},
		{title: "HASH"},
		{title: "INCARNATION"},
	}}
	for _, r := range d.Rows {
		t.add(text(r.HostName), cell{shorten(r.Host.String(), 8), faint}, text(fmt.Sprint(r.Version.Epoch)), text(fmt.Sprint(r.Version.Seq)),
			number(int64(r.Rows)), text(byteSize(int64(r.Bytes))), text(r.Hash), text(r.Incarnation))
	}
	return digestView{d.Root, t}
}

func lagTable(lag fleet.List[fleet.LagRow]) written {
	t := &table{columns: []column{
		{title: "HOST"}, {title: "ID"}, {title: "REACH"}, {title: "AGE", right: true}, {title: "HELD", right: true}, {title: "WANTED", right: true, sparse: true},
	}}
	for _, r := range lag.Items {
		t.add(text(r.HostName), cell{shorten(r.Host.String(), 8), faint}, reach(r.Reachability, nil, time.Time{}), text(ageMS(r.AgeMS)),
			text(version(r.Version)), text(version(r.Wanted)))
	}
	return t
}

// version writes epoch:seq; the host stands beside it.
func version(v fleet.Version) string {
	if v.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d:%d", v.Epoch, v.Seq)
}

// rtt is how long the peer takes to answer; only who dialled asks.
func rtt(l *fleet.Link) string {
	if !l.Outbound {
		return "-"
	}
	return fmt.Sprintf("%.1fms", l.RTTMS)
}
