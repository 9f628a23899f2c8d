package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) instanceRebuild() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rebuild INSTANCE", Short: "Make the first disk of an instance anew from an image; what was on it is lost", Args: takes("INSTANCE"),
		ValidArgsFunction: a.completeInstances,
		Long: "Make the first disk of an instance anew. Its id, name, host, size, network cards and further disks stay; one that runs is stopped, and started again. " +
			"Of the flags for cloud-init, giving one replaces all that the guest was told; giving none tells it the same again.",
		Example: "  grapevine instance rebuild web --image debian-12 --user-data web.yaml --wait 5m",
	}
	var image string
	told := &toldFlags{}
	cmd.Flags().StringVar(&image, "image", "", "what the disk is made from, by name or id (default: the image that the instance was made from)")
	told.add(cmd)
	return a.keyedChange(cmd, func(cmd *cobra.Command, node *client.Client, id fleet.InstanceID, opts client.KeyedOptions) (fleet.Accepted, error) {
		ask := fleet.Rebuild{}
		var err error
		if ask.Guest, err = told.guest(cmd); err != nil {
			return fleet.Accepted{}, err
		}
		if ask.Image, err = wholeImage(cmd.Context(), node, image); err != nil {
			return fleet.Accepted{}, err
		}
		return node.RebuildInstance(cmd.Context(), id, ask, opts)
	})
}

// wholeImage completes the beginning of an image's id; a name goes to the node
// as it is, which resolves it.
func wholeImage(ctx context.Context, node *client.Client, image string) (string, error) {
	if !shortImage.MatchString(image) {
		return image, nil
	}
	im, err := findImage(ctx, node, image)
	return im.ID, err
}

// keyedChange completes a command that changes an instance with a key, so that
// it can be sent again when its answer was lost.
func (a *app) keyedChange(cmd *cobra.Command, send func(*cobra.Command, *client.Client, fleet.InstanceID, client.KeyedOptions) (fleet.Accepted, error)) *cobra.Command {
	var opts client.KeyedOptions
	verb := cmd.Name()
	cmd.Flags().StringVar(&opts.Key, "key", "", "idempotency key: the same key and wish are one "+verb+", however often asked (default: a random one)")
	cmd.Flags().DurationVar(&opts.Wait, "wait", 0, "wait until it is done, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if opts.Key == "" {
			opts.Key = randomKey()
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		accepted, err := again(cmd.Context(), func() (fleet.Accepted, error) { return send(cmd, node, row.ID, opts) })
		if errors.Is(err, client.ErrOutcomeUnknown) || fleet.CodeOf(err) == fleet.CodeOutcomeUnknown {
			return fmt.Errorf("%w; send the same command again with --key %s, and it is done once", err, opts.Key)
		}
		if err != nil {
			return err
		}
		return a.outcome(verb, accepted, opts.Wait)
	}
	return cmd
}

// again sends what bears a key, and once more when its answer was lost.
func again[T any](ctx context.Context, send func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		accepted, err := send()
		if err == nil || !errors.Is(err, client.ErrOutcomeUnknown) || try == tries || ctx.Err() != nil {
			return accepted, err
		}
		select {
		case <-ctx.Done():
			return accepted, ctx.Err()
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		}
	}
}
