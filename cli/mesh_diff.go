package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) meshDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff [A] B", Short: "Compare what two nodes hold", Args: oneOrTwo("B"),
		Long: "Compares what two nodes hold: those named, or one and the node that is asked. A node is named by its name, its id or its\n" +
			"address as in grapevine mesh members; a URL is asked by this command itself, also where the mesh is cut in two.\n" +
			"The two are read one after the other: what changes meanwhile shows as a difference.",
		Example:           "  grapevine mesh diff kvm-1 kvm-2\n  grapevine mesh diff https://192.0.2.7:7947",
		ValidArgsFunction: a.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			first, second := pairOf(args)
			diff, err := a.compare(cmd.Context(), node, first, second)
			if err != nil {
				return err
			}
			return a.print(diff, func() written { return diffTable(&diff) })
		},
	}
}

// oneOrTwo takes one argument, or another before it.
func oneOrTwo(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 {
			return nil
		}
		return takes(name)(cmd, args)
	}
}

// pairOf returns both of two, or of one the asked node and it.
func pairOf(args []string) (first, second string) {
	if len(args) == 1 {
		return "", args[0]
	}
	return args[0], args[1]
}

// compare has the node compare two that it can reach; where one is a URL, both
// are read from here.
func (a *app) compare(ctx context.Context, node *client.Client, first, second string) (fleet.DigestDiff, error) {
	if !isURL(first) && !isURL(second) {
		return node.Diff(ctx, first, second)
	}
	var diff fleet.DigestDiff
	var digests [2]fleet.Digest
	for i, ref := range []string{first, second} {
		side, digest, err := a.digestAt(ctx, node, ref)
		if err != nil {
			return fleet.DigestDiff{}, err
		}
		digests[i] = digest
		if i == 0 {
			diff.A = side
		} else {
			diff.B = side
		}
	}
	diff.Hosts = fleet.CompareDigests(digests[0], digests[1])
	diff.Equal = len(diff.Hosts) == 0
	return diff, nil
}

func isURL(ref string) bool { return strings.Contains(ref, "://") }

// digestAt reads the digest of a node: at a URL, of the node that is asked, or
// at the address that this one knows of a member.
func (a *app) digestAt(ctx context.Context, node *client.Client, ref string) (fleet.NodeDigest, fleet.Digest, error) {
	side := fleet.NodeDigest{Name: ref}
	if ref == "" {
		side.Name = node.Addr()
	} else {
		at, err := a.nodeAt(ctx, node, ref)
		if err != nil {
			return side, fleet.Digest{}, err
		}
		defer at.Close()
		node = at
	}
	digest, err := node.Digest(ctx)
	side.Root, side.Hosts = digest.Root, len(digest.Rows)
	return side, digest, err
}

func (a *app) nodeAt(ctx context.Context, node *client.Client, ref string) (*client.Client, error) {
	if isURL(ref) {
		return a.clientAt(ref)
	}
	members, err := node.Members(ctx)
	if err != nil {
		return nil, err
	}
	things := make([]thing, len(members.Items))
	for i, m := range members.Items {
		things[i] = thing{m.ID.String(), m.Name, string(m.Role) + " at " + m.API}
	}
	i, err := pick("member", ref, things)
	if err != nil {
		return nil, err
	}
	return a.clientAt("https://" + members.Items[i].API)
}

func diffTable(d *fleet.DigestDiff) written {
	if d.Equal {
		return line(fmt.Sprintf("%s and %s hold the same fleet: root %s over %s", d.A.Name, d.B.Name, d.A.Root, plural(d.A.Hosts, "host")))
	}
	t := &table{columns: []column{
		{title: "HOST"},
		{title: "ID"},
		{title: "A", right: true},
		{title: "B", right: true},
		{title: "NEWER"},
		{title: "ROWS A", right: true},
		{title: "ROWS B", right: true},
		{title: "DIFFER", right: true, sparse: true},
	}}
	for i := range d.Hosts {
		h := &d.Hosts[i]
		newer, differ := d.A.Name, ""
		if h.Newer == "b" {
			newer = d.B.Name
		}
		if h.RowsDiffer != nil {
			differ = fmt.Sprint(*h.RowsDiffer)
		}
		t.add(text(h.HostName), cell{shorten(h.Host.String(), 8), faint}, held(h.A), held(h.B), text(newer),
			number(int64(h.RowsA)), number(int64(h.RowsB)), text(differ))
	}
	return headed{[]string{
		fmt.Sprintf("A is %s: root %s over %s", d.A.Name, d.A.Root, plural(d.A.Hosts, "host")),
		fmt.Sprintf("B is %s: root %s over %s", d.B.Name, d.B.Root, plural(d.B.Hosts, "host")),
		fmt.Sprintf("they hold different versions of %s", plural(len(d.Hosts), "host")),
	}, t}
}

// held is a version, or that there is none.
func held(v fleet.Version) cell {
	if v.IsZero() {
		return cell{"none", bad}
	}
	return text(version(v))
}
