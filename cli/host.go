package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) hostCommand() []*cobra.Command {
	return []*cobra.Command{group("host", "The hypervisor machines of the fleet", []*cobra.Command{
		a.hostList(),
		a.hostShow(),
		{
			Use: "hardware HOST", Short: "Show what a host is made of: processors, storage pools, networks, devices", Args: takes("HOST"),
			RunE: a.hostHardware, ValidArgsFunction: a.completeHosts,
		},
		{
			Use: "cordon HOST...", Short: "Let hosts take no new instances; what runs there goes on", Args: takes("HOST..."),
			RunE: a.hostAction(fleet.Cordon), ValidArgsFunction: a.completeHosts,
		},
		{
			Use: "uncordon HOST...", Short: "Let cordoned hosts take new instances again", Args: takes("HOST..."),
			RunE: a.hostAction(fleet.Uncordon), ValidArgsFunction: a.completeHosts,
		},
		a.hostRelease(),
		a.hostDrain(),
		a.hostUndrain(),
		a.hostDecide(fleet.DeclareDead, "State that a host is dead",
			"The host stays listed, with who said so and why. Nothing is placed there, and what it had may be created elsewhere. Be sure that its\nmachines do not run any more: two copies of a machine would."),
		a.hostDecide(fleet.Forget, "State that a host does not come back",
			"Neither the host nor what it had is listed or counted any more, and the idempotency keys that it kept are forgotten with it."),
		a.hostRevoke(),
	})}
}

func (a *app) hostList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the hosts", Aliases: []string{"ls"}, Args: takes()}
	pairs := cmd.Flags().StringArray("label", nil, "only those with this label, key=value; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wanted, err := labels(cmd, "label", *pairs)
		if err != nil {
			return err
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		hosts, err := node.LabelledHosts(cmd.Context(), wanted)
		if err != nil {
			return err
		}
		a.noteCoverage(hosts.Coverage)
		return a.print(hosts, func() written { return hostTable(hosts.Items, a.now()) })
	}
	return cmd
}

func hostTable(hosts []fleet.Host, now time.Time) *table {
	t := &table{columns: []column{
		{title: "NAME"},
		{title: "ID"},
		{title: "ZONE", sparse: true},
		{title: "HYPERVISOR"},
		{title: "STATE"},
		{title: "REACH"},
		{title: "DECLARED DEAD", sparse: true},
		{title: "VCPUS FREE", right: true},
		{title: "MEMORY FREE", right: true},
		{title: "DISK FREE", right: true},
		{title: "INSTANCES", right: true},
		{title: "LABELS", sparse: true},
		{title: "AGE", right: true},
	}}
	ids := make([]string, len(hosts))
	for i, h := range hosts {
		ids[i] = h.ID.String()
	}
	length := shortest(ids)
	for i, h := range hosts {
		t.add(text(h.Name), cell{shorten(ids[i], length), faint}, text(h.Zone), text(string(h.Hypervisor)), hostState(h.State),
			reach(h.Reachability, h.ReachabilitySince, now), decided(h.DeclaredDead),
			freeOf(h.Capacity.VCPUs, count), freeOf(h.Capacity.MemoryMiB, memory), freeOf(h.Capacity.DiskGiB, disk),
			number(int64(h.Instances)), text(pairsOf(h.Labels)), text(ageMS(h.AgeMS)))
	}
	return t
}

func hostState(s fleet.HostState) cell {
	switch s {
	case fleet.HostOK:
		return cell{string(s), good}
	case fleet.HostQuarantined:
		return cell{string(s), bad}
	case fleet.HostCordoned, fleet.HostDraining, fleet.HostMaintenance:
	}
	return cell{string(s), uneasy}
}

func (a *app) hostShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show HOST", Short: "Show one host in full", Args: takes("HOST"), ValidArgsFunction: a.completeHosts}
	fresh := cmd.Flags().Bool("fresh", false, freshHelp)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, host, err := a.host(cmd, args[0])
		if err == nil && *fresh {
			host, err = node.FreshHost(cmd.Context(), host.ID)
		}
		if err != nil {
			return err
		}
		return a.print(host, func() written { return hostSheet(&host, a.now()) })
	}
	return cmd
}

func hostSheet(h *fleet.Host, now time.Time) *sheet {
	s := &sheet{}
	s.line("name", text(h.Name))
	s.line("id", text(h.ID.String()))
	s.line("zone", text(h.Zone))
	s.line("labels", text(pairsOf(h.Labels)))
	s.line("hypervisor", text(strings.TrimSpace(string(h.Hypervisor)+"  "+h.HypervisorVersion)))
	s.line("state", hostState(h.State))
	if h.StateReason != "" {
		s.line("why", cell{h.StateReason, uneasy})
	}
	s.line("reachability", reach(h.Reachability, h.ReachabilitySince, now))
	if h.DeclaredDead != nil {
		s.line("declared dead", decided(h.DeclaredDead))
	}
	if h.HypervisorFault != "" {
		s.line("hypervisor fault", cell{h.HypervisorFault, bad})
	}
	s.line("vcpus", account(h.Capacity.VCPUs, count))
	s.line("memory", account(h.Capacity.MemoryMiB, memory))
	s.line("disk", account(h.Capacity.DiskGiB, disk))
	s.line("instances", number(int64(h.Instances)))
	s.line("traits", text(strings.Join(h.Traits, " ")))
	s.line("networks", text(strings.Join(h.Networks, ", ")))
	s.line("images", text(strings.Join(h.Images, " ")))
	s.line("api", text(h.API))
	s.line("agent", text(h.AgentVersion))
	s.line("version", text(h.Version.String()))
	s.line("observed", text(moment(h.ObservedAt)))
	s.line("age", text(ageMS(h.AgeMS)))
	return s
}

func account(a fleet.Amount, unit func(int64) string) cell {
	c := text(fmt.Sprintf("%s free of %s (%s reserved, %s allocated)", unit(a.Free), unit(a.Total), unit(a.Reserved), unit(a.Allocated)))
	if a.Free < 0 {
		c.mood = bad
	}
	return c
}

func (a *app) hostAction(action fleet.HostAction) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		return a.each(args, func(ref string) error {
			host, err := findHost(cmd.Context(), node, ref)
			if err != nil {
				return err
			}
			if host, err = node.ActHost(cmd.Context(), host.ID, action); err != nil {
				return err
			}
			return a.print(host, func() written { return line(fmt.Sprintf("host %s is %s", host.Name, host.State)) })
		})
	}
}
