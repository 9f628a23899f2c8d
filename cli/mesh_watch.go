package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) meshWatch() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch", Short: "Print what becomes of the hosts' rows at this node, until interrupted", Args: takes(),
		Long: "Prints a line for each new version of a host that reaches the node, from now on. A reader that is slower than the changes\n" +
			"is told how many versions it missed. With -o json there is one document a line.",
		Example: "  grapevine mesh watch --host kvm-7",
	}
	var host string
	cmd.Flags().StringVar(&host, "host", "", "only this host, by id or name")
	if err := cmd.RegisterFlagCompletionFunc("host", a.completeHosts); err != nil {
		panic(err) // the flag is not there: a programmer's mistake
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		watch, err := node.Watch(cmd.Context(), host)
		switch {
		case cmd.Context().Err() != nil:
			return nil // that is how people end it
		case err != nil:
			return err
		}
		defer watch.Close()
		if a.format == asTable {
			a.note("watching at %s; Ctrl-C ends it", node.Addr())
		}
		for {
			change, err := watch.Next()
			switch {
			case cmd.Context().Err() != nil:
				return nil
			case err != nil:
				return err
			}
			if err := a.printChange(&change); err != nil {
				return err
			}
		}
	}
	return cmd
}

// printChange prints a line, or a document that ends where its reader can tell.
func (a *app) printChange(c *fleet.HostChange) error {
	switch a.format {
	case asJSON:
		return writeJSONLine(a.out, c)
	case asYAML:
		if _, err := fmt.Fprintln(a.out, "---"); err != nil {
			return err
		}
		return writeYAML(a.out, c)
	default:
		return line(a.now().UTC().Format("15:04:05.000")+"  "+changeLine(c)).write(a.out, a.colour)
	}
}

// changeLine says what became of a host.
func changeLine(c *fleet.HostChange) string {
	said := fmt.Sprintf("%s  %s  ", c.HostName, version(c.Version))
	switch {
	case c.Before.IsZero():
		said += fmt.Sprintf("first heard of, with %s", plural(c.Added, "row"))
	case c.Whole && c.Changed == 0:
		said += fmt.Sprintf("the agent was restarted, its rows are as before (was %s)", version(c.Before))
	case c.Whole:
		said += fmt.Sprintf("a whole new account, %s (was %s)", plural(c.Changed, "row"), version(c.Before))
	default:
		said += rowsLine(c)
	}
	if c.Missed > 0 {
		said += fmt.Sprintf("; missed %s in between", plural(int(min(c.Missed, 1<<30)), "version"))
	}
	return said
}

func rowsLine(c *fleet.HostChange) string {
	var counts, names []string
	for _, n := range []struct {
		count int
		what  string
	}{{c.Added, "added"}, {c.Changed, "changed"}, {c.Deleted, "deleted"}} {
		if n.count > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	for _, row := range c.Rows {
		name := row.Name
		if name == "" {
			name = shorten(row.ID, 8)
		}
		name = row.Kind + " " + name
		if row.Deleted {
			name += " (deleted)"
		}
		names = append(names, name)
	}
	if c.Added+c.Changed+c.Deleted > len(c.Rows) {
		names = append(names, "...")
	}
	return "rows " + strings.Join(counts, ", ") + ": " + strings.Join(names, ", ")
}
