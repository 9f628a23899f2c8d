package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// drainPoll is how often a host is asked how far it is.
const drainPoll = 500 * time.Millisecond

// drainFlags say how a host is to be emptied.
type drainFlags struct {
	stop, force, plan, status, yes bool
	deadline, wait                 time.Duration
}

func (a *app) hostDrain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "drain HOST", Short: "Empty a host: it takes no new instances, and its machines are shut down or waited for", Args: takes("HOST"),
		ValidArgsFunction: a.completeHosts,
		Long: "Shows what would become of each machine of the host, asks, and empties it. With --stop each guest is asked to shut down and has the\n" +
			"deadline for it; one that takes longer is left as it is, or with --force switched off. Without --stop the host only takes no new\n" +
			"instances. Foreign machines are never touched, and remain. The host goes on by itself, also when this command is interrupted.\n" +
			"Exit code 1, with the list, while any machine remains. host undrain starts again what was stopped.",
		Example: "  grapevine host drain kvm-1 --stop --deadline 3m",
	}
	var f drainFlags
	flags := cmd.Flags()
	flags.BoolVar(&f.stop, "stop", false, "shut the machines down")
	flags.DurationVar(&f.deadline, "deadline", fleet.DefaultDrainDeadline, "with --stop: how long each guest may take")
	flags.BoolVar(&f.force, "force", false, "with --stop: switch off a guest that takes longer, or cannot be asked")
	flags.DurationVar(&f.wait, "wait", 0, "wait until no machine remains, at most so long (with --stop, where it is not given: until something has come of each)")
	flags.BoolVar(&f.plan, "plan", false, "only show what would become of each machine")
	flags.BoolVar(&f.status, "status", false, "only show how far the host is")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !f.stop && (f.force || cmd.Flags().Changed("deadline")) {
			return usage(cmd, "--force and --deadline belong to --stop")
		}
		node, host, err := a.host(cmd, args[0])
		if err != nil {
			return err
		}
		return a.drain(cmd, node, &host, &f)
	}
	return cmd
}

func (f *drainFlags) request() fleet.DrainRequest {
	if !f.stop {
		return fleet.DrainRequest{Mode: fleet.DrainWait}
	}
	return fleet.DrainRequest{Mode: fleet.DrainStop, DeadlineMS: f.deadline.Milliseconds(), Force: f.force}
}

func (a *app) drain(cmd *cobra.Command, node *client.Client, host *fleet.Host, f *drainFlags) error {
	ask := f.request()
	if f.status {
		ask = fleet.DrainRequest{}
	}
	plan, err := node.PlanDrain(cmd.Context(), host.ID, ask)
	if err != nil {
		return err
	}
	if f.plan || f.status {
		return a.print(plan, func() written { return drainTable(&plan) })
	}
	if !f.yes {
		if err := drainTable(&plan).write(a.errOut, false); err != nil {
			return err
		}
		question := fmt.Sprintf("Host %s takes no new instances from now on, and the above becomes of its %s. Go on?", host.Name, plural(len(plan.Machines), "machine"))
		if err := a.confirm(cmd, question); err != nil {
			return err
		}
	}
	drain, err := node.StartDrain(cmd.Context(), host.ID, f.request())
	if err != nil {
		return err
	}
	if drain, err = followDrain(cmd.Context(), node, drain, f.patience(), drainSettled(f.wait > 0)); err != nil {
		return err
	}
	if err := a.print(drain, func() written { return drainTable(&drain) }); err != nil {
		return err
	}
	if drain.Remaining > 0 {
		return &fleet.Error{Code: fleet.CodeConflict, Detail: fmt.Sprintf("%s on host %s, which takes no new instances and goes on draining; look again with: grapevine host drain %s --status",
			remain(drain.Remaining), host.Name, host.Name)}
	}
	return nil
}

func remain(n int) string {
	if n == 1 {
		return "1 machine remains"
	}
	return fmt.Sprintf("%d machines remain", n)
}

// patience is how long the command waits: what was asked for, or long enough
// for the last of many guests.
func (f *drainFlags) patience() time.Duration {
	if f.wait > 0 || !f.stop {
		return f.wait
	}
	return fleet.MaxDrainDeadline
}

// drainSettled tells when there is nothing left to wait for: no machine remains
// or, unless the command is to wait longer, something has come of each.
func drainSettled(longer bool) func(*fleet.Drain) bool {
	return func(d *fleet.Drain) bool {
		if d.Remaining == 0 {
			return true
		}
		for _, m := range d.Machines {
			if m.Remains && m.Step != fleet.DrainRemains && m.Outcome == "" {
				return false
			}
		}
		return !longer
	}
}

// followDrain asks the host how far it is until it has settled, or time is up.
func followDrain(ctx context.Context, node *client.Client, d fleet.Drain, wait time.Duration, settled func(*fleet.Drain) bool) (fleet.Drain, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for more := true; more && !settled(&d); {
		more = pause.For(waiting, drainPoll) // once more when time is up, for what is shown
		now, err := node.PlanDrain(ctx, d.Host, fleet.DrainRequest{})
		if err != nil {
			return d, err
		}
		d = now
	}
	return d, ctx.Err()
}

func (a *app) hostUndrain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "undrain HOST", Short: "Bring a drained host back: it takes new instances, and what its drain stopped is started", Args: takes("HOST"),
		ValidArgsFunction: a.completeHosts,
	}
	wait := cmd.Flags().Duration("wait", 0, "wait until they have been started, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, host, err := a.host(cmd, args[0])
		if err != nil {
			return err
		}
		drain, err := node.Undrain(cmd.Context(), host.ID)
		if err != nil {
			return err
		}
		drain, err = followDrain(cmd.Context(), node, drain, *wait, func(d *fleet.Drain) bool { return d.Phase == fleet.DrainRestored })
		if err != nil {
			return err
		}
		if err := a.print(drain, func() written { return drainTable(&drain) }); err != nil {
			return err
		}
		return undrained(&drain, *wait)
	}
	return cmd
}

// undrained judges how the host was brought back.
func undrained(d *fleet.Drain, wait time.Duration) error {
	for _, m := range d.Machines {
		if m.Outcome == "failed" {
			return &fleet.Error{Code: fleet.CodeInternal, Detail: fmt.Sprintf("instance %s was not started again: %s", m.Name, m.Detail)}
		}
	}
	if wait > 0 && d.Phase != fleet.DrainRestored {
		return &fleet.Error{Code: fleet.CodeInternal, Detail: fmt.Sprintf("host %s is still %s after %s; that goes on", d.HostName, d.Phase, wait)}
	}
	return nil
}

func drainTable(d *fleet.Drain) *table {
	t := &table{columns: []column{
		{title: "NAME"},
		{title: "ID"},
		{title: "OWNER"},
		{title: "POWER"},
		{title: "TASK", sparse: true},
		{title: "STEP"},
		{title: "OUTCOME", sparse: true},
		{title: "REMAINS"},
		{title: "WHY", sparse: true},
	}}
	for _, m := range d.Machines {
		remains := cell{"no", good}
		if m.Remains {
			remains = cell{"yes", uneasy}
		}
		t.add(text(m.Name), cell{m.Instance.String(), faint}, text(string(m.Ownership)), text(string(m.Power)), cell{string(m.Task), uneasy},
			text(string(m.Step)), text(m.Outcome), remains, text(m.Detail))
	}
	return t
}
