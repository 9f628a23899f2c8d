package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// asItWas is how people say fleet.AutostartAsItWas.
const asItWas = "as-it-was"

// bootingFlags say how an instance is brought up after a reboot of its host.
type bootingFlags struct {
	autostart string
	order     int
}

func (f *bootingFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.autostart, "autostart", asItWas, "whether it is started after a reboot of its host: always, never or "+asItWas)
	cmd.Flags().IntVar(&f.order, "start-order", 0, "its place then: the lowest number first, 0 for last")
}

// fill changes what the flags say, and leaves the rest.
func (f *bootingFlags) fill(cmd *cobra.Command, b *fleet.Booting) error {
	if cmd.Flags().Changed("autostart") {
		if b.Autostart = fleet.Autostart(f.autostart); f.autostart == asItWas {
			b.Autostart = fleet.AutostartAsItWas
		}
	}
	if cmd.Flags().Changed("start-order") {
		b.StartOrder = f.order
	}
	return fleet.CheckBooting(*b)
}

func bootingText(autostart fleet.Autostart, order int) string {
	words := string(autostart)
	if autostart == fleet.AutostartAsItWas {
		words = asItWas
	}
	if order != 0 {
		words += fmt.Sprintf(", order %d", order)
	}
	return words
}

func (a *app) instanceSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set INSTANCE", Short: "Say how an instance is brought up after a reboot of its host", Args: takes("INSTANCE"), ValidArgsFunction: a.completeInstances,
		Example: "  grapevine instance set db --autostart always --start-order 1",
	}
	var flags bootingFlags
	var wait time.Duration
	flags.add(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until it is done, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("autostart") && !cmd.Flags().Changed("start-order") {
			return usage(cmd, "nothing is to be set; give --autostart, --start-order or both")
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		ask := fleet.Booting{Autostart: row.Autostart, StartOrder: row.StartOrder}
		if err := flags.fill(cmd, &ask); err != nil {
			return err
		}
		accepted, err := node.SetAutostart(cmd.Context(), row.ID, ask, wait)
		if err != nil {
			return err
		}
		return a.outcome("set", accepted, wait)
	}
	return cmd
}
