package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

func (a *app) instanceMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate INSTANCE", Short: "Move a stopped instance to another host", Args: takes("INSTANCE"),
		ValidArgsFunction: a.completeInstances,
		Long: "Move a stopped instance, with all of its disks, to another host with the same hypervisor. Its id, name, network cards and labels stay, and so does what cloud-init was told. " +
			"Nothing else is done to it meanwhile. Where the move fails, the instance is where it was, and its row says why.",
		Example: "  grapevine instance stop web --wait 1m && grapevine instance migrate web --host node-2 --wait 10m",
	}
	ask := fleet.Migrate{}
	cmd.Flags().StringVar(&ask.Host, "host", "", "where to, by name or id (default: the host that suits it best)")
	if err := cmd.RegisterFlagCompletionFunc("host", a.completeHosts); err != nil {
		panic(err) // there is no such flag
	}
	return a.keyedChange(cmd, func(cmd *cobra.Command, node *client.Client, id fleet.InstanceID, opts client.KeyedOptions) (fleet.Accepted, error) {
		accepted, err := node.MigrateInstance(cmd.Context(), id, ask, opts)
		if err == nil && accepted.Gone {
			followMoved(cmd.Context(), node, &accepted)
		}
		return accepted, err
	})
}

// movedWithin is how long the row of the host that an instance was moved to may
// take to be heard.
const movedWithin = 5 * time.Second

// followMoved looks for an instance that has left its host at the one where it is
// now.
func followMoved(ctx context.Context, node *client.Client, accepted *fleet.Accepted) {
	ctx, cancel := context.WithTimeout(ctx, movedWithin)
	defer cancel()
	for more := true; more; more = pause.For(ctx, 200*time.Millisecond) {
		if row, err := node.Instance(ctx, accepted.Instance.ID); err == nil {
			accepted.Instance, accepted.Version, accepted.Gone = row, row.Version, false
			return
		}
	}
}
