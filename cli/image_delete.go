package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) imageDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete IMAGE", Short: "Delete an image at the hosts that hold it", Aliases: []string{"rm"}, Args: takes("IMAGE"),
		Long: "Delete an image at the hosts that hold it. A host on which an instance is built on the image keeps it.",
	}
	var hosts []string
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "host to delete it at, by name or id; may be repeated (default: every holder)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		im, err := findImage(cmd.Context(), node, args[0])
		if err != nil {
			return err
		}
		done := fleet.ImageDeletion{Image: im.ID, Removed: []fleet.HostID{}, Kept: []fleet.ImageKept{}}
		if len(hosts) == 0 {
			if done, err = node.DeleteImage(cmd.Context(), im.ID, fleet.HostID{}); err != nil {
				return err
			}
		}
		for _, ref := range hosts {
			host, err := findHost(cmd.Context(), node, ref)
			if err != nil {
				return err
			}
			if _, err := node.DeleteImage(cmd.Context(), im.ID, host.ID); err != nil {
				done.Kept = append(done.Kept, fleet.ImageKept{Host: host.ID, HostName: host.Name, Code: fleet.CodeOf(err), Detail: err.Error()})
				continue
			}
			done.Removed = append(done.Removed, host.ID)
		}
		return a.imageDeleted(&im, done)
	}
	return cmd
}

// imageDeleted prints what became of the image. That a host keeps it is a
// failure.
func (a *app) imageDeleted(im *fleet.Image, done fleet.ImageDeletion) error {
	err := a.print(done, func() written {
		return line(fmt.Sprintf("deleted %s (%s) at %s", im.Name, im.ID, plural(len(done.Removed), "host")))
	})
	if err != nil || len(done.Kept) == 0 {
		return err
	}
	for _, kept := range done.Kept {
		a.say(fmt.Errorf("host %s keeps it: %s", kept.HostName, kept.Detail))
	}
	return errReported
}
