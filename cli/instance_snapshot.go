package cli

import (
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) instanceSnapshot() *cobra.Command {
	list := &cobra.Command{
		Use: "list INSTANCE", Short: "List the snapshots of an instance", Aliases: []string{"ls"}, Args: takes("INSTANCE"),
		RunE: a.snapshotList, ValidArgsFunction: a.completeInstances,
	}
	return group("snapshot", "Snapshots of an instance: its disks and, of one that runs, its memory", []*cobra.Command{
		list,
		a.snapshotChange(fleet.TakeSnapshot, "create", "Take a snapshot of an instance, which goes on as it was"),
		a.snapshotChange(fleet.RevertSnapshot, "revert", "Bring an instance back to a snapshot; what came since is lost"),
		a.snapshotChange(fleet.DeleteSnapshot, "delete", "Delete a snapshot; the instance stays as it is"),
	})
}

func (a *app) snapshotList(cmd *cobra.Command, args []string) error {
	node, row, err := a.instance(cmd, args[0])
	if err != nil {
		return err
	}
	snapshots, err := node.Snapshots(cmd.Context(), row.ID)
	if err != nil {
		return err
	}
	return a.print(snapshots, func() written { return snapshotTable(snapshots.Items, a.now()) })
}

func snapshotTable(items []fleet.Snapshot, now time.Time) *table {
	t := &table{columns: []column{
		{title: "NAME"},
		{title: "POWER"},
		{title: "UPON", sparse: true},
		{title: "CURRENT", sparse: true},
		{title: "AGE", right: true},
		{title: "CREATED"},
	}}
	for _, s := range items {
		current := cell{}
		if s.Current {
			current = cell{"current", good}
		}
		t.add(text(s.Name), text(string(s.Power)), text(s.Parent), current, text(age(max(now.Sub(s.CreatedAt), 0))), text(moment(s.CreatedAt)))
	}
	return t
}

// snapshotChange is the command of one verb.
func (a *app) snapshotChange(verb fleet.SnapshotVerb, use, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " INSTANCE NAME", Short: short, Args: takes("INSTANCE", "NAME"), ValidArgsFunction: a.completeInstances,
	}
	var wait time.Duration
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until it is done, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		accepted, err := node.ChangeSnapshot(cmd.Context(), row.ID, fleet.SnapshotChange{Verb: verb, Name: args[1]}, wait)
		if err != nil {
			return err
		}
		return a.outcome(string(verb), accepted, wait)
	}
	return cmd
}
