package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) meshTrace() *cobra.Command {
	cmd := &cobra.Command{
		Use: "trace [INSTANCE]", Short: "Show which node learnt an instance's newest version from whom, and when",
		Long: "Asks every node of the mesh what it holds of the instance's host, and draws who learnt the newest version from whom.\n" +
			"LEARNT is by each node's own monotonic clock, AFTER how long after the host's own agent, to within the time that the\n" +
			"answers took. AT is each node's wall clock: for people, as the clocks of two machines may differ.",
		Example:           "  grapevine mesh trace web-1\n  grapevine mesh trace --host kvm-7",
		ValidArgsFunction: a.completeInstances,
	}
	var host string
	cmd.Flags().StringVar(&host, "host", "", "trace this host, by id or name, in place of an instance's")
	if err := cmd.RegisterFlagCompletionFunc("host", a.completeHosts); err != nil {
		panic(err) // the flag is not there: a programmer's mistake
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if host != "" {
			return takes()(cmd, args)
		}
		return takes("INSTANCE")(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		query, err := traceQuery(cmd.Context(), node, host, args)
		if err != nil {
			return err
		}
		trace, err := node.Trace(cmd.Context(), query)
		if err != nil {
			return err
		}
		return a.print(trace, func() written { return traceView{&trace} })
	}
	return cmd
}

func traceQuery(ctx context.Context, node *client.Client, host string, args []string) (fleet.TraceQuery, error) {
	if host != "" {
		row, err := findHost(ctx, node, host)
		return fleet.TraceQuery{Host: row.ID}, err
	}
	row, err := findInstance(ctx, node, args[0])
	return fleet.TraceQuery{Instance: row.ID}, err
}

// traceView is a tree of who learnt from whom, under what it is about.
type traceView struct{ *fleet.Trace }

func (v traceView) write(w io.Writer, colour bool) error {
	about := fmt.Sprintf("host %s in version %s", v.HostName, version(v.Version))
	if !v.Instance.IsZero() {
		about = fmt.Sprintf("instance %s, last changed in version %s, on %s", v.InstanceName, version(v.InstanceVersion), about)
	}
	head := []string{about, fmt.Sprintf("%d of %s answered", v.Answered, plural(v.Asked, "node"))}
	t := &table{columns: []column{
		{title: "NODE"},
		{title: "ROLE"},
		{title: "HOLDS", sparse: true},
		{title: "FROM", sparse: true},
		{title: "LEARNT", right: true},
		{title: "AFTER", right: true, sparse: true},
		{title: "AT (ITS CLOCK)"},
	}}
	drawn := map[fleet.UUID]bool{}
	for _, n := range v.roots() {
		v.draw(t, n, "", "", drawn)
	}
	for i := range v.Nodes {
		if n := &v.Nodes[i]; !drawn[n.Node] && n.Error == "" {
			v.draw(t, n, "", "", drawn) // an older version, whose way is another
		}
	}
	if err := (headed{head, t}).write(w, colour); err != nil {
		return err
	}
	return v.writeSilent(w, colour)
}

// roots are the nodes with the newest version that learnt it from none of the
// others: the host's own agent, and those whose source is not among them.
func (v traceView) roots() []*fleet.TracedNode {
	var roots []*fleet.TracedNode
	for i := range v.Nodes {
		n := &v.Nodes[i]
		parent := v.node(n.From)
		if v.newest(n) && (n.Origin || parent == nil || parent.Error == "" && !v.newest(parent)) {
			roots = append(roots, n)
		}
		if n.Error != "" && len(v.children(n)) > 0 {
			roots = append(roots, n) // silent, and others learnt from it
		}
	}
	return roots
}

func (v traceView) newest(n *fleet.TracedNode) bool {
	return n.Error == "" && !n.Version.IsZero() && n.Version == v.Version
}

func (v traceView) node(id fleet.UUID) *fleet.TracedNode {
	i := slices.IndexFunc(v.Nodes, func(n fleet.TracedNode) bool { return n.Node == id })
	if i < 0 || id.IsZero() {
		return nil
	}
	return &v.Nodes[i]
}

// children are the nodes that learnt the newest version from n, in the order in
// which they did.
func (v traceView) children(n *fleet.TracedNode) []*fleet.TracedNode {
	var out []*fleet.TracedNode
	for i := range v.Nodes {
		if c := &v.Nodes[i]; v.newest(c) && c.From == n.Node && !c.Origin {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b *fleet.TracedNode) int { return int(b.AgeMS - a.AgeMS) })
	return out
}

// draw adds a node and below it those that learnt from it. Mark stands before
// its own name, indent before those below.
func (v traceView) draw(t *table, n *fleet.TracedNode, mark, indent string, drawn map[fleet.UUID]bool) {
	if drawn[n.Node] {
		return
	}
	drawn[n.Node] = true
	t.add(v.row(n, mark)...)
	children := v.children(n)
	for i, c := range children {
		if i == len(children)-1 {
			v.draw(t, c, indent+"└─ ", indent+"   ", drawn)
		} else {
			v.draw(t, c, indent+"├─ ", indent+"│  ", drawn)
		}
	}
}

func (v traceView) row(n *fleet.TracedNode, mark string) []cell {
	holds, from, learnt, after, at := text(""), text(""), text("-"), text(""), text("")
	switch {
	case n.Error != "":
		learnt = cell{"no answer", bad}
	case n.Version.IsZero():
		holds = cell{"nothing", bad}
	case !v.newest(n):
		holds = cell{version(n.Version), uneasy}
	}
	if mark == "" && !n.Origin {
		from = text(n.FromName)
	}
	if n.At != nil {
		learnt, at = text(exactAge(n.AgeMS)+" ago"), text(n.At.UTC().Format("2006-01-02 15:04:05.000 MST"))
		if origin := v.node(v.Host); origin != nil && origin.At != nil && v.newest(n) && !n.Origin {
			after = text(fmt.Sprintf("%dms", max(origin.AgeMS-n.AgeMS, 0)))
		}
	}
	return []cell{text(mark + n.Name), text(string(n.Role)), holds, from, learnt, after, at}
}

// exactAge is an age with its milliseconds below two minutes.
func exactAge(ms int64) string {
	if ms < 1000 || ms >= 120_000 {
		return ageMS(ms)
	}
	return fmt.Sprintf("%.3fs", float64(ms)/1000)
}

// writeSilent lists the nodes that did not answer, and why.
func (v traceView) writeSilent(w io.Writer, colour bool) error {
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.Error == "" {
			continue
		}
		said := fmt.Sprintf("no answer from %s %s: %s", n.Role, n.Name, strings.ReplaceAll(n.Error, "\n", "; "))
		if err := line(said).write(w, colour); err != nil {
			return err
		}
	}
	return nil
}
