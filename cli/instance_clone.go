package cli

import (
	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) instanceClone() *cobra.Command {
	cmd := &cobra.Command{
		Use: "clone INSTANCE", Short: "Make another instance of a stopped one, at its host, and start it", Args: takes("INSTANCE"),
		Long: "The clone has the size, the firmware, the network cards (with addresses of its own) and all disks of the instance, with what is on them now.\n" +
			"It is told who it is by cloud-init, as every new instance: give it keys and user data anew.",
		Example:           "  grapevine instance clone web --name web-2 --wait 10m",
		ValidArgsFunction: a.completeInstances,
	}
	var create fleet.Create
	var guest guestFlags
	var opts client.CreateOptions
	var pairs []string
	flags := cmd.Flags()
	flags.StringVar(&create.Name, "name", "", "name of the clone")
	flags.StringVar(&create.Project, "project", "", "project that it belongs to (default: that of the instance)")
	flags.StringArrayVar(&pairs, "label", nil, "label, key=value; may be repeated (default: those of the instance)")
	flags.StringVar(&opts.Key, "key", "", "idempotency key: the same key and wish give the same machine, however often asked (default: a random one)")
	flags.DurationVar(&opts.Wait, "wait", 0, "wait until it runs, at most so long")
	guest.addIdentity(cmd, "as the instance has")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := need(cmd, "name"); err != nil {
			return err
		}
		if create.Labels, err = labels(cmd, "label", pairs); err != nil {
			return err
		}
		if err := guest.fill(cmd, &create); err != nil {
			return err
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		create.Source = row.ID.String()
		if err := create.Validate(); err != nil {
			return err
		}
		if opts.Key == "" {
			opts.Key = randomKey()
		}
		accepted, err := createOne(cmd.Context(), node, create, opts)
		if err != nil {
			return howToRetry(err, opts.Key)
		}
		return a.outcome("clone", accepted, opts.Wait)
	}
	return cmd
}
