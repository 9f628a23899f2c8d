package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) instanceCommand() []*cobra.Command {
	commands := []*cobra.Command{a.instanceList(), a.instanceShow(), a.instanceCreate()}
	for _, verb := range instanceVerbs {
		commands = append(commands, a.instanceAct(verb))
	}
	commands = append(commands,
		a.instanceDelete(), a.instanceLog(), a.instanceConsole(), a.instanceResize(), a.instanceSnapshot(), a.instanceDevice(), a.instanceCapture(), a.instanceClone(),
		a.instanceMigrate(), a.instanceRebuild(), a.instanceRescue(), a.instanceUnrescue(), a.instanceSet(), a.instanceExport(), a.instanceImport())
	return []*cobra.Command{group("instance", "The virtual machines of the fleet", commands)}
}

func (a *app) instanceList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the instances, managed and foreign", Aliases: []string{"ls"}, Args: takes()}
	var query fleet.InstanceQuery
	var state string
	var pairs []string
	flags := cmd.Flags()
	flags.StringVar(&query.Host, "host", "", "only those on this host, by id or name")
	flags.StringVar(&query.Project, "project", "", "only those of this project")
	flags.StringVar(&state, "state", "", "only those in this power state")
	flags.StringVar(&query.Name, "name", "", "only those with this name")
	flags.StringArrayVar(&pairs, "label", nil, "only those with this label, key=value; may be repeated")
	flags.IntVar(&query.Limit, "limit", 0, "at most so many (default: all)")
	flags.StringVar(&query.Marker, "marker", "", "only those after this marker, the next of the page before")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if query.Labels, err = labels(cmd, "label", pairs); err != nil {
			return err
		}
		query.State = fleet.Power(state)
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		read := node.AllInstances
		if query.Limit != 0 {
			read = node.Instances
		}
		rows, err := read(cmd.Context(), query)
		if err != nil {
			return err
		}
		a.noteCoverage(rows.Coverage)
		if rows.Next != "" && a.format == asTable {
			a.note("there are more; go on with --marker %s", rows.Next)
		}
		return a.print(rows, func() written { return instanceTable(rows.Items, a.now()) })
	}
	return cmd
}

func instanceTable(rows []fleet.Instance, now time.Time) *table {
	t := &table{columns: []column{
		{title: "NAME"},
		{title: "ID"},
		{title: "PROJECT"},
		{title: "HOST"},
		{title: "HYPERVISOR"},
		{title: "POWER"},
		{title: "TASK", sparse: true},
		{title: "RESCUED BY", sparse: true},
		{title: "OWNER"},
		{title: "FLAVOR", sparse: true},
		{title: "VCPUS", right: true},
		{title: "MEMORY", right: true},
		{title: "DISK", right: true},
		{title: "ADDRESSES", sparse: true},
		{title: "AGE", right: true},
		{title: "STALE", sparse: true},
		{title: "FAULT", sparse: true},
	}}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID.String()
	}
	length := shortest(ids)
	for i, row := range rows {
		t.add(text(row.Name), cell{shorten(ids[i], length), faint}, text(row.Project), text(row.HostName), text(string(row.Hypervisor)),
			power(&row), cell{string(row.Task), uneasy}, cell{shorten(row.Rescue, 12), uneasy}, text(string(row.Ownership)), text(row.Flavor),
			number(row.VCPUs), text(memory(row.MemoryMiB)), text(disk(row.DiskGiB)),
			text(strings.Join(row.Addresses, " ")), text(ageMS(row.AgeMS)), stale(&row, now), cell{row.Fault, bad})
	}
	return t
}

// power is the state, coloured when it is surely true.
func power(row *fleet.Instance) cell {
	c := text(string(row.Power))
	if row.Reachability != fleet.ReachOK {
		c.mood = faint
		return c
	}
	switch row.Power {
	case fleet.PowerRunning:
		c.mood = good
	case fleet.PowerCrashed:
		c.mood = bad
	case fleet.PowerPaused, fleet.PowerSuspended, fleet.PowerUnknown:
		c.mood = uneasy
	case fleet.PowerStopped:
	}
	return c
}

// stale says why a row may not be true any more; nothing for one that is.
func stale(row *fleet.Instance, now time.Time) cell {
	if row.Reachability == fleet.ReachOK {
		return cell{}
	}
	if row.HostDeclaredDead {
		return cell{"host declared dead", bad}
	}
	return reach(row.Reachability, row.ReachabilitySince, now)
}

func instanceSheet(row *fleet.Instance, now time.Time) *sheet {
	s := &sheet{}
	s.line("name", text(row.Name))
	s.line("id", text(row.ID.String()))
	s.line("project", text(row.Project))
	s.line("ownership", text(string(row.Ownership)))
	s.line("host", text(fmt.Sprintf("%s  %s", row.HostName, row.Host)))
	s.line("hypervisor", text(string(row.Hypervisor)))
	s.line("reachability", reach(row.Reachability, row.ReachabilitySince, now))
	if row.HostDeclaredDead {
		s.line("host", cell{"declared dead", bad})
	}
	if r := row.DeleteIntent; r != nil {
		s.line("to be deleted", cell{fmt.Sprintf("when its host is back, by %s on %s: %s", r.By, moment(r.AcceptedAt), r.Why), uneasy})
	}
	s.line("power", power(row))
	s.line("task", cell{string(row.Task), uneasy})
	s.line("fault", cell{row.Fault, bad})
	s.line("flavor", text(row.Flavor))
	s.line("size", text(fmt.Sprintf("%s, %s of memory, %s of disk", plural(int(row.VCPUs), "vCPU"), memory(row.MemoryMiB), disk(row.DiskGiB))))
	s.line("image", text(row.Image))
	if row.Rescue != "" {
		s.line("rescued by", cell{row.Rescue, uneasy})
	}
	s.line("addresses", text(strings.Join(row.Addresses, " ")))
	s.line("labels", text(pairsOf(row.Labels)))
	if row.Autostart != fleet.AutostartAsItWas || row.StartOrder != 0 {
		s.line("autostart", text(bootingText(row.Autostart, row.StartOrder)))
	}
	s.line("created", text(moment(row.CreatedAt)))
	s.line("generation", text(fmt.Sprint(row.Generation)))
	if !row.SupersededBy.IsZero() {
		s.line("superseded by", cell{"the copy at host " + row.SupersededBy.String(), bad})
	}
	if !row.Twin.IsZero() {
		s.line("twin", cell{"a copy runs at host " + row.Twin.String() + " too", bad})
	}
	s.line("version", text(row.Version.String()))
	s.line("observed", text(moment(row.ObservedAt)))
	s.line("age", text(ageMS(row.AgeMS)))
	return s
}

// outcome judges the answer to a mutation, after the wait that was asked for,
// and shows it.
func (a *app) outcome(done string, accepted fleet.Accepted, wait time.Duration) error {
	row := &accepted.Instance
	if err := a.print(accepted, func() written { return line(outcomeLine(done, &accepted, wait)) }); err != nil {
		return err
	}
	switch {
	case wait <= 0 || accepted.Gone:
		return nil
	case row.Fault != "":
		return &fleet.Error{Code: fleet.CodeInternal, Detail: fmt.Sprintf("instance %s on %s: %s", row.Name, row.HostName, row.Fault)}
	case row.Task != fleet.TaskNone:
		return &fleet.Error{Code: fleet.CodeInternal, Detail: fmt.Sprintf(
			"instance %s is still %s after %s; that goes on, look again with: grapevine instance show %s", row.Name, row.Task, wait, row.ID)}
	default:
		return nil
	}
}

func outcomeLine(done string, accepted *fleet.Accepted, wait time.Duration) string {
	row := &accepted.Instance
	return fmt.Sprintf("%s %s (%s) on %s: %s", done, row.Name, row.ID, row.HostName, stateOf(accepted, wait))
}

// stateOf is one word on how far what was accepted is.
func stateOf(accepted *fleet.Accepted, wait time.Duration) string {
	switch row := &accepted.Instance; {
	case accepted.Gone:
		return "gone"
	case row.Task != fleet.TaskNone:
		return string(row.Task)
	case wait <= 0:
		return "accepted"
	default:
		return string(row.Power)
	}
}

// verb is an action on an instance as people call it.
type verb struct {
	action fleet.InstanceAction
	short  string
	force  string // help of --force; empty where there is none
}

var instanceVerbs = []verb{
	{fleet.Start, "Start stopped instances", ""},
	{fleet.Stop, "Stop instances: the guest is asked, and after a grace time made to", "do not ask the guest, pull the plug"},
	{fleet.Reboot, "Reboot instances", "do not ask the guest, reset it"},
	{fleet.Pause, "Freeze instances where they are; they keep their memory", ""},
	{fleet.Resume, "Let paused instances go on", ""},
	{fleet.Adopt, "Make foreign instances managed, so that they can be written to", ""},
	{fleet.Disown, "Make managed instances foreign: they go on as they are, and are only listed and counted", ""},
}

func (a *app) instanceAct(v verb) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(v.action) + " INSTANCE...", Short: v.short, Args: takes("INSTANCE..."), ValidArgsFunction: a.completeInstances,
	}
	var opts client.ActOptions
	cmd.Flags().DurationVar(&opts.Wait, "wait", 0, "wait until it is done, at most so long")
	if v.force != "" {
		cmd.Flags().BoolVar(&opts.Force, "force", false, v.force)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		return a.each(args, func(ref string) error {
			row, err := findInstance(cmd.Context(), node, ref)
			if err != nil {
				return err
			}
			accepted, err := node.ActInstance(cmd.Context(), row.ID, v.action, opts)
			if err != nil {
				return err
			}
			return a.outcome(string(v.action), accepted, opts.Wait)
		})
	}
	return cmd
}

func (a *app) instanceDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete INSTANCE...", Short: "Delete managed instances and their disks, running or not", Aliases: []string{"rm"},
		Args: takes("INSTANCE..."), ValidArgsFunction: a.completeInstances,
	}
	var wait time.Duration
	var when whenBack
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until it is gone, at most so long")
	when.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := when.check(cmd); err != nil {
			return err
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		return a.each(args, func(ref string) error {
			row, err := findInstance(cmd.Context(), node, ref)
			if err != nil {
				return err
			}
			accepted, err := node.DeleteInstance(cmd.Context(), row.ID, wait)
			if when.back && (fleet.CodeOf(err) == fleet.CodeHostUnreachable || fleet.CodeOf(err) == fleet.CodeMisdirected) {
				return a.deleteWhenBack(cmd, node, &row, when.ask)
			}
			if err != nil {
				return err
			}
			return a.outcome("delete", accepted, wait)
		})
	}
	return cmd
}
