package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

// followEvery is how often a followed log is asked for what is new.
const followEvery = 500 * time.Millisecond

func (a *app) instanceLog() *cobra.Command {
	cmd := &cobra.Command{
		Use: "log INSTANCE", Short: "Print what an instance wrote on its console", Args: takes("INSTANCE"),
		ValidArgsFunction: a.completeInstances,
	}
	var follow bool
	var offset int64
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing until interrupted")
	cmd.Flags().Int64Var(&offset, "offset", 0, "begin at this byte")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if offset < 0 {
			return usage(cmd, "--offset is %d; it must not be negative", offset)
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		if !follow {
			_, err := a.copyLog(cmd.Context(), node, row.ID, offset)
			return err
		}
		return a.followLog(cmd.Context(), node, row.ID, offset)
	}
	return cmd
}

// copyLog prints the log from offset on and returns how long that was. It is
// printed as it is: a console's control characters are what was asked for.
func (a *app) copyLog(ctx context.Context, node *client.Client, id fleet.InstanceID, offset int64) (int64, error) {
	content, err := node.InstanceLog(ctx, id, offset)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	n, err := io.Copy(a.out, content)
	if err != nil {
		return n, fmt.Errorf("read console log: %w", err)
	}
	return n, nil
}

// followLog prints what is new until ctx ends, which is how people end it, or
// until the instance is gone.
func (a *app) followLog(ctx context.Context, node *client.Client, id fleet.InstanceID, offset int64) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		n, err := a.copyLog(ctx, node, id, offset)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		offset += n
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
