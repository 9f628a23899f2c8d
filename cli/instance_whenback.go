package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

// whenBack are the flags for what is to be done by a host that cannot be heard.
type whenBack struct {
	back bool
	ask  fleet.Decide
}

func (w *whenBack) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.back, "when-back", false, "where its host cannot be reached: have the host delete it when it is back (give --reason)")
	cmd.Flags().StringVar(&w.ask.Reason, "reason", "", "why, with --when-back, for whoever wonders later")
}

// check judges the flags as they were given.
func (w *whenBack) check(cmd *cobra.Command) error {
	if !w.back {
		return nil
	}
	return need(cmd, "reason")
}

// deleteWhenBack leaves a record that the instance is to be deleted.
func (a *app) deleteWhenBack(cmd *cobra.Command, node *client.Client, row *fleet.Instance, ask fleet.Decide) error {
	done, err := node.IntendDelete(cmd.Context(), row.ID, ask)
	if err != nil {
		return err
	}
	return a.print(done, func() written {
		return line(fmt.Sprintf("%s (%s) is to be deleted by host %s when it is back: recorded, and held by %s", row.Name, row.ID, row.HostName, plural(len(done.Holders), "agent")))
	})
}
