package cli

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) recordCommand() []*cobra.Command {
	return []*cobra.Command{group("record", "What people decided, kept by several agents", []*cobra.Command{a.recordList()})}
}

func (a *app) recordList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List what was decided about hosts, and what is intended with instances", Aliases: []string{"ls"}, Args: takes(),
		Long: "List what was decided about hosts, and what is intended with instances, the newest first. A record that is superseded (another says as\n" +
			"much or more) or spent (its host came back, or the instance is gone) does nothing and is dropped after a day.",
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		list, err := node.AllRecords(cmd.Context(), fleet.UUID{})
		if err != nil {
			return err
		}
		slices.SortStableFunc(list.Items, func(a, b fleet.RecordRow) int {
			return cmp.Or(b.AcceptedAt.Compare(a.AcceptedAt), a.ID.Compare(b.ID))
		})
		a.noteCoverage(list.Coverage)
		return a.print(list, func() written { return recordTable(list.Items) })
	}
	return cmd
}

func recordTable(rows []fleet.RecordRow) *table {
	t := &table{columns: []column{
		{title: "ACCEPTED"},
		{title: "KIND"},
		{title: "SUBJECT"},
		{title: "ID"},
		{title: "STANDING"},
		{title: "HELD BY", right: true},
		{title: "BY"},
		{title: "WHY"},
	}}
	for i := range rows {
		r := &rows[i]
		standing := cell{string(r.Standing), faint}
		if r.Standing == fleet.RecordStands {
			standing.mood = uneasy
		}
		t.add(text(moment(r.AcceptedAt)), text(string(r.Kind)), text(r.Name), cell{r.Subject.String(), faint}, standing,
			number(int64(len(r.Holders))), text(r.By), text(r.Why))
	}
	return t
}
