package cli

import (
	"time"

	"github.com/spf13/cobra"
)

func (a *app) instanceResize() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resize INSTANCE", Short: "Give an instance another size, a running one only more; its disk never shrinks", Args: takes("INSTANCE"),
		ValidArgsFunction: a.completeInstances,
	}
	var flavor string
	var wait time.Duration
	cmd.Flags().StringVar(&flavor, "flavor", "", "its new size: see grapevine flavor list")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until it is done, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "flavor"); err != nil {
			return err
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		accepted, err := node.ResizeInstance(cmd.Context(), row.ID, flavor, wait)
		if err != nil {
			return err
		}
		return a.outcome("resize", accepted, wait)
	}
	return cmd
}
