package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) hostRelease() *cobra.Command {
	cmd := &cobra.Command{
		Use: "release HOST", Short: "End the quarantine of a host, whatever it waits for", Args: takes("HOST"), ValidArgsFunction: a.completeHosts,
		Example: `  grapevine host release rack3-7 --reason "its copies were compared by hand"`,
	}
	var decide fleet.Decide
	cmd.Flags().StringVar(&decide.Reason, "reason", "", "why, in a few words; it is kept with who said so")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "reason"); err != nil {
			return err
		}
		node, host, err := a.host(cmd, args[0])
		if err != nil {
			return err
		}
		if host, err = node.ReleaseHost(cmd.Context(), host.ID, decide); err != nil {
			return err
		}
		return a.print(host, func() written { return line(fmt.Sprintf("host %s is %s", host.Name, host.State)) })
	}
	return cmd
}
