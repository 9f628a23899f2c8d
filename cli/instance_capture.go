package cli

import (
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) instanceCapture() *cobra.Command {
	cmd := &cobra.Command{
		Use: "capture INSTANCE", Short: "Make an image of a stopped instance: its first disk as it is now", Args: takes("INSTANCE"),
		Example:           "  grapevine instance capture web --image-name web-golden --wait 10m",
		ValidArgsFunction: a.completeInstances,
	}
	var req fleet.CaptureInstance
	var wait time.Duration
	cmd.Flags().StringVar(&req.ImageName, "image-name", "", "name of the image")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until it is done, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "image-name"); err != nil {
			return err
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		accepted, err := node.CaptureInstance(cmd.Context(), row.ID, req, 0)
		if err != nil {
			return err
		}
		if wait == 0 {
			return a.outcome("capture", accepted, 0)
		}
		op, err := node.Operation(cmd.Context(), accepted.Operation)
		if err == nil {
			op, err = a.follow(cmd.Context(), node, op, "capture", wait)
		}
		if err != nil {
			return err
		}
		return a.print(op, func() written { return line(imaged("captured "+row.Name+" as", req.ImageName, op.ImageName, op.Image)) })
	}
	return cmd
}
