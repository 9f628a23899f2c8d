package cli

import (
	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) instanceRescue() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rescue INSTANCE", Short: "Boot an instance from another image, with its own disks attached, so that they can be mended", Args: takes("INSTANCE"),
		ValidArgsFunction: a.completeInstances,
		Example:           "  grapevine instance rescue web --image rescue-iso --wait 2m",
	}
	var image string
	cmd.Flags().StringVar(&image, "image", "", "what it boots, by name or id")
	return a.keyedChange(cmd, func(cmd *cobra.Command, node *client.Client, id fleet.InstanceID, opts client.KeyedOptions) (fleet.Accepted, error) {
		if err := need(cmd, "image"); err != nil {
			return fleet.Accepted{}, err
		}
		whole, err := wholeImage(cmd.Context(), node, image)
		if err != nil {
			return fleet.Accepted{}, err
		}
		return node.RescueInstance(cmd.Context(), id, fleet.Rescue{Image: whole}, opts)
	})
}

func (a *app) instanceUnrescue() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unrescue INSTANCE", Short: "Make a rescued instance what it was", Args: takes("INSTANCE"), ValidArgsFunction: a.completeInstances,
	}
	return a.keyedChange(cmd, func(cmd *cobra.Command, node *client.Client, id fleet.InstanceID, opts client.KeyedOptions) (fleet.Accepted, error) {
		return node.UnrescueInstance(cmd.Context(), id, opts)
	})
}
