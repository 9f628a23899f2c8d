package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
	"grapevine/identity"
)

func (a *app) tlsRotate() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show which roots the fleet trusts, and how far each node has come with them", Args: takes(), Example: "  grapevine tls rotate status",
		Long: "Show which roots the fleet trusts, and of each node the list of roots that it follows, the root that its certificate is of, and the root that the CA is of\n" +
			"which it may hold. All nodes are asked; what hinders the next step is said on stderr.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.rotationStatus(cmd.Context()) },
	}
	cmd := group("rotate", "Replace the fleet's root by a new one, while everything runs", []*cobra.Command{
		a.rotateStep("begin", "Make a new root, and have every node trust it beside the old one", (*rotation).begin,
			"Makes a new root beside the one in --dir, where the key of the old one lies, and has every node trust both. The word goes to the nodes over the mesh,\n"+
				"signed by the old root; no key leaves this machine. Give the new "+caFile+" in --dir to people next: they need it once nodes have certificates of the new root."),
		a.rotateStep("renew", "Have every node renew its certificate under the new root", (*rotation).renew,
			"Has every node renew its certificate under the new root, within minutes, and vouches by it for the intermediate CAs that nodes hold. From then on tls issue\n"+
				"and tls intermediate use the new root: issue certificates to people next, for theirs do not renew themselves."),
		a.rotateStep("finish", "Have every node drop the old root", (*rotation).finish,
			"Has every node drop the old root, which proves nothing any more then. Refused while a node that nobody gave up still depends on it, your own certificate\n"+
				"included. A host that is left behind by --force is let in again by a join token: grapevine token create --host-id."),
		a.rotateStep("undo", "Go one step back", (*rotation).undo,
			"After renew: has every node go back to certificates of the old root. After begin, or once all are back: has every node drop the new root."),
		status,
	})
	cmd.Long = "Replaces the fleet's root by a new one, as before it ends, or after its key was stolen, while everything runs and without a restart:\n" +
		"begin, renew, finish, with a look at status between them. Each step may be given again, and undo goes back."
	return cmd
}

// The names of the files in --dir while a root is replaced, and after.
const (
	nextCAFile    = "next-ca.pem"
	nextCAKeyFile = "next-ca-key.pem"
	oldCAFile     = "old-ca.pem"
	oldCAKeyFile  = "old-ca-key.pem"
)

// stepped is what a step came to.
type stepped struct {
	Step    string            `json:"step"`
	Number  int64             `json:"number"` // of the list of roots
	Roots   []fleet.TrustRoot `json:"roots"`  // certificates are to be of the first
	Holders int               `json:"holders"`
	Next    string            `json:"next"`
}

func (a *app) rotateStep(name, short string, do func(*rotation) error, long string) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Long: long, Args: takes(), Example: "  grapevine tls rotate " + name + " --dir fleet"}
	r := rotation{app: a, step: name}
	flags := cmd.Flags()
	flags.StringVar(&r.dir, "dir", "", "folder that tls init made, with the root's key")
	flags.BoolVar(&r.force, "force", false, "also where that cuts off nodes which are not ready; needs --reason")
	flags.StringVar(&r.reason, "reason", "", "why, in a few words, for whoever wonders later")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "dir"); err != nil {
			return err
		}
		if r.force {
			if err := need(cmd, "reason"); err != nil {
				return err
			}
		}
		if r.reason == "" {
			r.reason = "rotation of the root: " + name
		}
		if err := r.open(cmd.Context()); err != nil {
			return err
		}
		if err := do(&r); err != nil {
			return err
		}
		return a.print(r.done, func() written {
			shown := lines{fmt.Sprintf("list %d of the fleet's roots is held by %s: certificates are to be of root %s", r.done.Number, plural(r.done.Holders, "agent"), fleet.ShortRoot(r.done.Roots[0].Name))}
			for _, root := range r.done.Roots[1:] {
				shown = append(shown, "root "+fleet.ShortRoot(root.Name)+" is trusted too")
			}
			return append(shown, "next: "+r.done.Next)
		})
	}
	return cmd
}

func (a *app) rotationStatus(ctx context.Context) error {
	node, err := a.node(ctx)
	if err != nil {
		return err
	}
	report, err := node.TrustReport(ctx, false)
	if err != nil {
		return err
	}
	if err := a.print(report, func() written { return trustTable(&report) }); err != nil {
		return err
	}
	wanted := report.Roots[0]
	a.note("certificates are to be of root %s, which ends on %s", fleet.ShortRoot(wanted.Name), wanted.Until.Format(time.DateOnly))
	for i, root := range report.Roots[1:] {
		a.note("root %s is trusted too, and ends on %s", fleet.ShortRoot(root.Name), root.Until.Format(time.DateOnly))
		without := namesOf(slices.Delete(slices.Clone(report.Roots), i+1, i+2))
		turned := append([]string{root.Name}, without...)
		if why := report.Hinders(turned); len(why) > 0 {
			a.note("to turn to it has to wait for %s: %s", plural(len(why), "node"), why[0])
		}
		if why := report.Hinders(without); len(why) > 0 {
			a.note("to drop it has to wait for %s: %s", plural(len(why), "node"), why[0])
		} else {
			a.note("nobody depends on it")
		}
	}
	return nil
}

func namesOf(roots []fleet.TrustRoot) []string {
	names := make([]string, len(roots))
	for i := range roots {
		names[i] = roots[i].Name
	}
	return names
}

func trustTable(report *fleet.TrustReport) *table {
	t := &table{columns: []column{
		{title: "NODE"}, {title: "ROLE"}, {title: "LIST", right: true}, {title: "TRUSTS", right: true}, {title: "CERTIFICATE OF"}, {title: "UNTIL"}, {title: "CA OF", sparse: true}, {title: "NOTE", sparse: true},
	}}
	for i := range report.Nodes {
		n := &report.Nodes[i]
		of := cell{fleet.ShortRoot(n.Root), good}
		if n.Root != report.Roots[0].Name {
			of.mood = uneasy
		}
		until := ""
		if !n.Until.IsZero() {
			until = n.Until.Local().Format(time.DateTime)
		}
		note := cell{n.Error, bad}
		if n.GivenUp != "" {
			note = cell{n.GivenUp, faint}
		}
		t.add(text(n.Name), text(string(n.Role)), number(n.Number), number(int64(len(n.Trusts))), of, text(until), text(fleet.ShortRoot(n.IssuerRoot)), note)
	}
	return t
}

// shownRoots are certificates as they are shown.
func shownRoots(list *identity.Trust) []fleet.TrustRoot {
	out := make([]fleet.TrustRoot, len(list.Roots))
	for i, root := range list.Roots {
		out[i] = fleet.TrustRoot{Name: identity.RootName(root), Until: root.NotAfter.UTC()}
	}
	return out
}
