package cli

import (
	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) verifyCommand() []*cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Look through the fleet for what does not add up: ghosts, orphans, twins, leaked disks", Args: takes(),
		Long: "Every host reads its hypervisor, its storage and its journal afresh and says where they differ; the node that is asked adds what only\n" +
			"the whole fleet shows. Nothing is changed. Exit code 1 when something is wrong, or a host could not be asked.",
	}
	host := cmd.Flags().String("host", "", "only this host, by name or id")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		var found fleet.Verification
		if *host == "" {
			found, err = node.Verify(cmd.Context())
		} else {
			var h fleet.Host
			if h, err = findHost(cmd.Context(), node, *host); err == nil {
				found, err = node.VerifyHost(cmd.Context(), h.ID)
			}
		}
		if err != nil {
			return err
		}
		return a.verified(&found)
	}
	return []*cobra.Command{cmd}
}

func (a *app) verified(found *fleet.Verification) error {
	if err := a.print(found, func() written { return verifyTable(found) }); err != nil {
		return err
	}
	faults := found.Faults()
	a.note("%d of %s looked through, %s", found.Coverage.Heard, plural(found.Coverage.Known, "host"), plural(faults, "finding"))
	if faults > 0 {
		return errReported
	}
	return nil
}

func verifyTable(found *fleet.Verification) written {
	if len(found.Items) == 0 {
		return line("all adds up")
	}
	t := &table{columns: []column{{title: "TYPE"}, {title: "HOST"}, {title: "INSTANCE", sparse: true}, {title: "WHAT"}, {title: "DO"}}}
	for i := range found.Items {
		f := &found.Items[i]
		kind := cell{string(f.Type), bad}
		if !f.Fault() {
			kind.mood = faint
		}
		instance := ""
		if !f.Instance.IsZero() {
			instance = f.Instance.String()
		}
		t.add(kind, text(f.HostName), cell{instance, faint}, text(f.What), text(f.Do))
	}
	return t
}
