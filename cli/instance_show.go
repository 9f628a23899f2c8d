package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

// shownInstance is an instance with what it uses, where its host tells that.
type shownInstance struct {
	fleet.Instance
	Usage *fleet.Usage `json:"usage,omitempty"`
}

// freshHelp is that of --fresh.
const freshHelp = "have its host look now, and fail where it cannot, instead of showing what was last heard"

func (a *app) instanceShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show INSTANCE", Short: "Show one instance in full", Args: takes("INSTANCE"), ValidArgsFunction: a.completeInstances,
	}
	fresh := cmd.Flags().Bool("fresh", false, freshHelp)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.showInstance(cmd, args[0], *fresh) }
	return cmd
}

func (a *app) showInstance(cmd *cobra.Command, ref string, fresh bool) error {
	node, row, err := a.instance(cmd, ref)
	if err == nil && fresh {
		row, err = node.FreshInstance(cmd.Context(), row.ID)
	}
	if err != nil {
		return err
	}
	shown := shownInstance{Instance: row, Usage: usageOf(cmd.Context(), node, &row)}
	return a.print(shown, func() written {
		s := instanceSheet(&row, a.now())
		if shown.Usage != nil {
			addUsage(s, shown.Usage)
		}
		return s
	})
}

// usageWithin is how long the host may take: the row is what was asked for.
const usageWithin = 3 * time.Second

// usageOf asks the host what an instance uses; nil where it does not tell, or
// is not there to be asked.
func usageOf(ctx context.Context, node *client.Client, row *fleet.Instance) *fleet.Usage {
	if row.Reachability != fleet.ReachOK || !row.Power.Awake() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, usageWithin)
	defer cancel()
	used, err := node.Usage(ctx, row.ID)
	if err != nil {
		return nil
	}
	return &used.Usage
}

func addUsage(s *sheet, u *fleet.Usage) {
	var cpu []string
	if u.CPUSeconds != nil {
		cpu = append(cpu, fmt.Sprintf("%.1f s", *u.CPUSeconds))
	}
	if u.CPUHertz != nil {
		cpu = append(cpu, fmt.Sprintf("%d MHz now", *u.CPUHertz/1e6))
	}
	s.line("cpu used", text(strings.Join(cpu, ", ")))
	if u.MemoryBytes != nil {
		s.line("memory used", text(byteSize(*u.MemoryBytes)))
	}
	pair := func(label string, first *int64, did string, second *int64, and string) {
		if first != nil && second != nil {
			s.line(label, text(fmt.Sprintf("%s %s, %s %s", byteSize(*first), did, byteSize(*second), and)))
		}
	}
	pair("disk used", u.DiskReadBytes, "read", u.DiskWrittenBytes, "written")
	pair("network used", u.NetworkReceivedBytes, "received", u.NetworkSentBytes, "sent")
}
