package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grapevine/agent/audit"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/atonce"
)

func (a *app) auditCommand() []*cobra.Command {
	return []*cobra.Command{group("audit", "Who had what changed at which host, and whether that log is whole", []*cobra.Command{a.auditList(), a.auditVerify()})}
}

// audited is an entry with the host that keeps it.
type audited struct {
	Host     fleet.HostID `json:"host"`
	HostName string       `json:"host_name"`
	fleet.AuditEntry
}

func (a *app) auditList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List what was asked to be changed, the newest first", Aliases: []string{"ls"}, Args: takes(),
		Long: "List what was asked to be changed, by whom and with what outcome, the newest first. Each host keeps its own log and is asked for it; hosts that\n" +
			"do not answer are named. Entries of several hosts are put in order by the hosts' own clocks.",
	}
	host := cmd.Flags().String("host", "", "only this host, by name or id")
	since := cmd.Flags().Duration("since", 0, "only of the last so long, as 24h")
	limit := cmd.Flags().Int("limit", 100, "at most so many entries of each host")
	before := cmd.Flags().Uint64("before", 0, "with --host: only entries before the one with this number")
	var q fleet.AuditQuery
	cmd.Flags().StringVar(&q.Who, "who", "", "only what somebody asked whose role, name, id or address has this in it")
	cmd.Flags().StringVar(&q.Subject, "subject", "", "only what was about an id that begins so")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *limit < 1 || *limit > fleet.MaxAuditPage:
			return usage(cmd, "--limit is %d; use 1 to %d", *limit, fleet.MaxAuditPage)
		case *before != 0 && *host == "":
			return usage(cmd, "--before needs --host: numbers are those of one host's log")
		}
		q.Limit, q.Before = *limit, *before
		if *since > 0 {
			q.Since = a.now().Add(-*since)
		}
		return a.listAudit(cmd.Context(), *host, q)
	}
	return cmd
}

func (a *app) listAudit(ctx context.Context, ref string, q fleet.AuditQuery) error {
	node, hosts, err := a.auditHosts(ctx, ref)
	if err != nil {
		return err
	}
	out := fleet.List[audited]{Items: []audited{}, Coverage: fleet.Coverage{Known: len(hosts)}}
	pages, errs := make([]fleet.AuditPage, len(hosts)), make([]error, len(hosts))
	atonce.Each(len(hosts), auditAbreast, func(i int) { pages[i], errs[i] = node.Audit(ctx, hosts[i].ID, q) })
	for i := range hosts {
		if errs[i] != nil {
			if ref != "" {
				return errs[i]
			}
			a.note("host %s did not tell: %v", hosts[i].Name, errs[i])
			continue
		}
		out.Coverage.Heard++
		for _, e := range pages[i].Items {
			out.Items = append(out.Items, audited{hosts[i].ID, hosts[i].Name, e})
		}
		if pages[i].Next != 0 && a.format == asTable {
			a.note("host %s has more; go on with --host %s --before %d", hosts[i].Name, hosts[i].Name, pages[i].Next)
		}
	}
	slices.SortStableFunc(out.Items, func(x, y audited) int {
		return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.HostName, y.HostName), cmp.Compare(y.Number, x.Number))
	})
	if err := a.print(out, func() written { return auditTable(out.Items) }); err != nil {
		return err
	}
	if len(hosts) > 0 && out.Coverage.Heard == 0 {
		return errReported
	}
	return nil
}

// auditAbreast is how many hosts are asked at once.
const auditAbreast = 16

// auditHosts returns the one host, or all.
func (a *app) auditHosts(ctx context.Context, ref string) (*client.Client, []fleet.Host, error) {
	node, err := a.node(ctx)
	if err != nil {
		return nil, nil, err
	}
	if ref != "" {
		host, err := findHost(ctx, node, ref)
		return node, []fleet.Host{host}, err
	}
	hosts, err := node.Hosts(ctx)
	return node, hosts.Items, err
}

func auditTable(rows []audited) written {
	if len(rows) == 0 {
		return line("nothing of this kind is in the log")
	}
	t := &table{columns: []column{
		{title: "AT"}, {title: "HOST"}, {title: "NUMBER", right: true}, {title: "WHO"}, {title: "WHAT"}, {title: "SUBJECT", sparse: true}, {title: "OUTCOME"}, {title: "TIMES", right: true, sparse: true},
	}}
	for i := range rows {
		e := &rows[i]
		who := e.Who.String()
		if e.For != nil {
			who = fmt.Sprintf("%s, by way of %s", e.For, strings.TrimSpace(e.Who.Role+" "+e.Who.Name))
		}
		outcome := cell{e.Code, good}
		if e.Status >= 400 {
			outcome.mood = uneasy
		}
		times := ""
		if e.Times > 1 {
			times = fmt.Sprint(e.Times)
		}
		t.add(text(e.At.Local().Format(time.DateTime)), text(e.HostName), number(int64(e.Number)), text(who), text(e.Route), cell{e.Subject, faint}, outcome, text(times))
	}
	return t
}

func (a *app) auditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that no host's log was changed, cut back or written anew", Args: takes(),
		Long: "Every entry's hash is worked out again, and that each follows from the one before it. The log is then compared with what other nodes have\n" +
			"heard of it: a log that was cut back or written anew, with every hash in it right, is not the one that they heard of. Exit code 1 when\n" +
			"something is wrong, or a host could not be asked.",
	}
	host := cmd.Flags().String("host", "", "only this host, by name or id")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.verifyAudit(cmd.Context(), *host) }
	return cmd
}

// auditCheck is what came of checking one host's log.
type auditCheck struct {
	Host     fleet.HostID    `json:"host"`
	HostName string          `json:"host_name"`
	Begin    fleet.AuditLink `json:"begin"`
	Head     fleet.AuditLink `json:"head"`
	// Heard is how many names of entries other nodes had heard of, and from how many
	// nodes they came.
	Heard  int      `json:"heard"`
	Nodes  int      `json:"nodes"`
	Faults []string `json:"faults"`
	Error  string   `json:"error,omitempty"` // why it was not checked
}

func (a *app) verifyAudit(ctx context.Context, ref string) error {
	node, hosts, err := a.auditHosts(ctx, ref)
	if err != nil {
		return err
	}
	out := fleet.List[auditCheck]{Items: make([]auditCheck, len(hosts)), Coverage: fleet.Coverage{Known: len(hosts)}}
	atonce.Each(len(hosts), auditAbreast, func(i int) { out.Items[i] = checkAudit(ctx, node, &hosts[i]) })
	wrong := 0
	for i := range out.Items {
		if out.Items[i].Error == "" {
			out.Coverage.Heard++
		}
		wrong += len(out.Items[i].Faults)
	}
	if err := a.print(out, func() written { return auditCheckTable(out.Items) }); err != nil {
		return err
	}
	a.note("the logs of %d of %s checked, %s", out.Coverage.Heard, plural(len(hosts), "host"), plural(wrong, "fault"))
	if wrong > 0 || out.Coverage.Heard < out.Coverage.Known {
		return errReported
	}
	return nil
}

// checkAudit asks first what others have heard: what is written meanwhile is then
// in the log, and not missing from it.
func checkAudit(ctx context.Context, node *client.Client, host *fleet.Host) auditCheck {
	out := auditCheck{Host: host.ID, HostName: host.Name, Faults: []string{}}
	heads, err := node.AuditHeads(ctx, host.ID, false)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	held, nodes := []audit.Held{}, map[fleet.UUID]bool{}
	for _, h := range heads.Items {
		held, nodes[h.Node] = append(held, audit.Held{AuditLink: h.AuditLink, By: "node " + h.NodeName}), true
	}
	out.Heard, out.Nodes = len(held), len(nodes)
	var check *audit.Check
	out.Begin, out.Head, err = node.WholeAudit(ctx, host.ID, func(begin fleet.AuditLink, entries []fleet.AuditEntry) {
		if check == nil {
			check = audit.NewCheck(begin, held)
		}
		check.Take(entries...)
	})
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Faults = append(out.Faults, check.End(out.Head)...)
	return out
}

func auditCheckTable(rows []auditCheck) *table {
	t := &table{columns: []column{{title: "HOST"}, {title: "ENTRIES"}, {title: "COMPARED WITH", right: true}, {title: "OUTCOME"}}}
	for i := range rows {
		r := &rows[i]
		span := "none"
		if r.Head.Number > r.Begin.Number {
			span = fmt.Sprintf("%d to %d", r.Begin.Number+1, r.Head.Number)
		}
		compared := plural(r.Nodes, "node")
		switch {
		case r.Error != "":
			t.add(text(r.HostName), text("?"), text(compared), cell{"not checked: " + r.Error, uneasy})
		case len(r.Faults) == 0:
			t.add(text(r.HostName), text(span), text(compared), cell{"whole", good})
		}
		for _, fault := range r.Faults {
			t.add(text(r.HostName), text(span), text(compared), cell{fault, bad})
		}
	}
	return t
}
