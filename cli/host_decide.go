package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

// hostDecide is the command by which a person says what became of a host.
func (a *app) hostDecide(kind fleet.RecordKind, short, means string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(kind) + " HOST", Short: short, Args: takes("HOST"), ValidArgsFunction: a.completeHosts,
		Long: short + ".\n\n" + means + "\n\n" +
			"A host that can be heard is neither dead nor gone, and this is refused. What you say is kept with your name and your reason by three\n" +
			"agents (all, where there are fewer); where too few can be reached, the same command may be given again. Should the host come\n" +
			"back, it does so in quarantine and is listed again.",
		Example: fmt.Sprintf("  grapevine host %s rack3-7 --reason \"power supply burnt, ticket 4711\"", kind),
	}
	a.decides(cmd, kind, func(name string, id fleet.HostID) string {
		return fmt.Sprintf("%s: %s (%s)? %s Go on?", kind, name, id, strings.ReplaceAll(means, "\n", " "))
	}, func(name string, done *fleet.Decided) lines {
		return lines{fmt.Sprintf("%s of host %s is recorded, and held by %s", done.Record.Kind, name, plural(len(done.Holders), "agent"))}
	})
	return cmd
}

// decides makes a command one that states something of a host for a reason, after
// a question, and says what came of it.
func (a *app) decides(cmd *cobra.Command, kind fleet.RecordKind, question func(name string, id fleet.HostID) string, outcome func(name string, done *fleet.Decided) lines) {
	var ask fleet.Decide
	var yes bool
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why, in a few words, for whoever wonders later")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "reason"); err != nil {
			return err
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		id, name, err := findSubject(cmd.Context(), node, args[0])
		if err != nil {
			return err
		}
		if !yes {
			if err := a.confirm(cmd, question(name, id)); err != nil {
				return err
			}
		}
		done, err := node.DecideHost(cmd.Context(), id, kind, ask)
		if err != nil {
			return err
		}
		return a.print(done, func() written { return outcome(name, &done) })
	}
}

// findSubject is findHost for one that may be forgotten already, by its id or by
// the name that it had: so that a command which too few agents could answer can
// be given again.
func findSubject(ctx context.Context, c *client.Client, ref string) (fleet.HostID, string, error) {
	host, err := findHost(ctx, c, ref)
	if err == nil {
		return host.ID, host.Name, nil
	}
	if fleet.CodeOf(err) != fleet.CodeNotFound {
		return fleet.HostID{}, "", err
	}
	records, failed := c.AllRecords(ctx, fleet.UUID{})
	if failed != nil {
		return fleet.HostID{}, "", failed
	}
	for i := range records.Items {
		r := &records.Items[i]
		if r.Kind.IsDecision() && (r.Subject.String() == strings.ToLower(ref) || r.Name == ref) {
			return r.Subject, r.Name, nil
		}
	}
	if id, failed := fleet.ParseUUID(ref); failed == nil {
		return id, ref, nil // one that only gossip knows
	}
	return fleet.HostID{}, "", err
}

// decided says who declared a host dead, when and why.
func decided(r *fleet.Record) cell {
	if r == nil {
		return cell{}
	}
	return cell{fmt.Sprintf("by %s on %s: %s", r.By, moment(r.AcceptedAt), r.Why), bad}
}
