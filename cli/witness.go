package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

func (a *app) witnessCommand() []*cobra.Command {
	replace := &cobra.Command{
		Use: "replace OLD NEW", Short: "Replace one witness by another host",
		Long: `Replace one witness by another host, which may be one that is dead.

The witnesses decide it at once. The new one then learns what the others know,
which takes about a minute; until then majorities of both the old and the new
witnesses are needed. The command waits for that, unless --no-wait is given.
The same command with the two hosts the other way round calls the change off.`,
		Args: takes("OLD", "NEW"), RunE: a.witnessReplace, ValidArgsFunction: a.completeHosts,
	}
	replace.Flags().Bool("no-wait", false, "do not wait until the new witness has learnt")
	return []*cobra.Command{group("witness", "The five hosts that grant what may be had once in the fleet", []*cobra.Command{
		{Use: "list", Short: "Show the witness set, and what each witness says", Aliases: []string{"ls"}, Args: takes(), RunE: a.witnessList},
		{
			Use: "set HOST HOST HOST HOST HOST", Short: "Pin the fleet's first witness set",
			Long: `Pin the fleet's first witness set: five hosts that, by majority, grant
idempotency keys and whatever else may be had once in the fleet.

Choose hosts that do not fail together. Two of them may be down. Afterwards
members are replaced one at a time: grapevine witness replace OLD NEW.`,
			Args: takes("HOST", "HOST", "HOST", "HOST", "HOST"), RunE: a.witnessSet, ValidArgsFunction: a.completeHosts,
		},
		replace,
	})}
}

func (a *app) witnessList(cmd *cobra.Command, _ []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	report, err := node.Witnesses(cmd.Context())
	if err != nil {
		return err
	}
	return a.printWitnesses(report)
}

func (a *app) printWitnesses(r fleet.WitnessReport) error {
	if r.Set.IsZero() {
		a.note("there is no witness set: each key is kept by one host, its home, and cannot be used while that is away")
	}
	if r.Set.Changing() {
		a.note("the set is being changed: majorities of the old and of the new witnesses are needed")
	}
	if len(r.Waiting) > 0 && !r.Set.IsZero() {
		a.note("not all hosts have handed their keys over yet: %s", strings.Join(r.Waiting, ", "))
	}
	return a.print(r, func() written { return witnessTable(r) })
}

func witnessTable(r fleet.WitnessReport) *table {
	t := &table{columns: []column{
		{title: "WITNESS"}, {title: "STATE"}, {title: "CHANGE", sparse: true}, {title: "SET", right: true}, {title: "KEYS", right: true}, {title: "WHY", sparse: true},
	}}
	for _, row := range r.Members {
		state, why := cell{"grants", good}, row.Why
		switch {
		case row.Fault != "":
			state, why = cell{"unreachable", bad}, row.Fault
		case !row.Ready:
			state = cell{"learns", uneasy}
		}
		change := ""
		switch {
		case row.Coming:
			change = "comes"
		case row.Going:
			change = "goes"
		}
		t.add(text(row.Name), state, text(change), number(int64(row.Set.Number)), number(int64(row.Keys)), text(why))
	}
	return t
}

func (a *app) witnessSet(cmd *cobra.Command, args []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	report, err := node.ChangeWitnesses(cmd.Context(), fleet.WitnessChange{Members: args})
	if err != nil {
		return err
	}
	return a.printWitnesses(report)
}

func (a *app) witnessReplace(cmd *cobra.Command, args []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	report, err := node.ChangeWitnesses(cmd.Context(), fleet.WitnessChange{Old: args[0], New: args[1]})
	if err != nil {
		return err
	}
	if noWait, _ := cmd.Flags().GetBool("no-wait"); !noWait {
		if report, err = a.awaitWitnesses(cmd, node, report); err != nil {
			return err
		}
	}
	return a.printWitnesses(report)
}

// learnWithin is how long a new witness may take: it waits for a grant's life,
// and then reads what three others have.
const learnWithin = 10 * time.Minute

func (a *app) awaitWitnesses(cmd *cobra.Command, node *client.Client, r fleet.WitnessReport) (fleet.WitnessReport, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), learnWithin)
	defer cancel()
	for r.Set.Changing() {
		var err error
		if pause.For(ctx, time.Second) {
			r, err = node.Witnesses(ctx)
		}
		switch {
		case cmd.Context().Err() != nil:
			return r, cmd.Context().Err()
		case ctx.Err() != nil:
			return r, fmt.Errorf("the new witness has not learnt within %s; look at: grapevine witness list", learnWithin)
		case err != nil:
			return r, err
		}
	}
	return r, nil
}
