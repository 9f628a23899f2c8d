package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) instanceLog() *cobra.Command {
	cmd := &cobra.Command{
		Use: "log INSTANCE", Short: "Print what an instance wrote on its console", Args: takes("INSTANCE"),
		ValidArgsFunction: a.completeInstances,
	}
	var part fleet.LogRange
	cmd.Flags().BoolVarP(&part.Follow, "follow", "f", false, "go on printing until interrupted")
	cmd.Flags().Int64Var(&part.Offset, "offset", 0, "begin at this byte, counted from the oldest that the host keeps")
	cmd.Flags().Int64Var(&part.Tail, "tail", 0, "print only the last so many bytes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case part.Offset < 0:
			return usage(cmd, "--offset is %d; it must not be negative", part.Offset)
		case part.Tail < 0:
			return usage(cmd, "--tail is %d; it must not be negative", part.Tail)
		case part.Offset > 0 && part.Tail > 0:
			return usage(cmd, "--offset and --tail are both given; give one of them")
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		return a.copyLog(cmd.Context(), node, row.ID, part)
	}
	return cmd
}

// copyLog prints the log. It is printed as it is: a console's control characters
// are what was asked for. A log that is followed ends with ctx, which is how
// people end it, or when the instance is gone.
func (a *app) copyLog(ctx context.Context, node *client.Client, id fleet.InstanceID, part fleet.LogRange) error {
	content, err := node.InstanceLog(ctx, id, part)
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err := io.Copy(a.out, content); err != nil && (!part.Follow || ctx.Err() == nil) {
		return fmt.Errorf("read console log: %w", err)
	}
	return nil
}
