package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) placementCommand() []*cobra.Command {
	explain := &cobra.Command{Use: "explain", Short: "Show where an instance would go, and why every other host refuses it", Args: takes()}
	wish := a.wishFlags(explain, false)
	explain.RunE = func(cmd *cobra.Command, _ []string) error { return a.placementExplain(cmd, wish) }
	return []*cobra.Command{group("placement", "Where instances go, and why", []*cobra.Command{explain})}
}

func (a *app) placementExplain(cmd *cobra.Command, wish *wish) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	create, err := wish.create(cmd, node)
	if err != nil {
		return err
	}
	explanation, err := node.Explain(cmd.Context(), create)
	if err != nil {
		return err
	}
	a.noteCoverage(explanation.Coverage)
	return a.print(explanation, func() written { return explanationView{&explanation} })
}

// explanationView is a sentence over a table of verdicts.
type explanationView struct{ *fleet.Explanation }

func (e explanationView) write(w io.Writer, colour bool) error {
	said := "no host fits"
	if !e.Chosen.IsZero() {
		said = fmt.Sprintf("it would go to %s", e.ChosenName)
		if e.Strategy != "" {
			said += fmt.Sprintf(" (placement: %s)", e.Strategy)
		}
	}
	if _, err := fmt.Fprintln(w, visible(said)); err != nil {
		return err
	}
	t := &table{columns: []column{{title: "HOST"}, {title: "FITS"}, {title: "SCORE", right: true, sparse: true}, {title: "WHY NOT", sparse: true}}}
	for _, v := range e.Verdicts {
		if v.Fits {
			t.add(text(v.HostName), cell{"yes", good}, text(fmt.Sprintf("%.3f", v.Score)), text(""))
			continue
		}
		for i, r := range v.Refusals {
			if i == 0 {
				t.add(text(v.HostName), cell{"no", uneasy}, text(""), text(r.Detail))
			} else {
				t.add(text(""), text(""), text(""), text(r.Detail))
			}
		}
	}
	return t.write(w, colour)
}
