package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"grapevine/fleet"
)

// hostRevoke is the command by which an operator has a node's certificates
// refused.
func (a *app) hostRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke HOST", Short: "Have a host's certificates refused, and the host put out of the mesh", Args: takes("HOST"), ValidArgsFunction: a.completeHosts,
		Long: "Have a host's certificates refused, and the host put out of the mesh, as after a theft of its key. HOST may be the id of a registry, too.\n\n" +
			"Every node that hears of it refuses the certificates that the host was enrolled for up to now, renewed ones included, and closes\n" +
			"its links. Its machines run on, and what it said last stays listed. It knows the gossip key still: change that next, with\n" +
			"grapevine mesh keys. A join token for its id (grapevine token create --host-id) lets it in again.",
		Example: "  grapevine host revoke rack3-7 --reason \"stolen, ticket 4711\"",
	}
	a.decides(cmd, fleet.RevokeHost, func(name string, id fleet.HostID) string {
		return fmt.Sprintf("revoke %s (%s)? It is put out of the mesh until it is enrolled again. Go on?", name, id)
	}, func(name string, done *fleet.Decided) lines {
		return lines{fmt.Sprintf("the certificates of %s are revoked, held by %s", name, plural(len(done.Holders), "agent")), "next: change the gossip key, which it knows: grapevine mesh keys"}
	})
	cmd.Flags().Lookup("reason").Usage += " (also --why)"
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "why" {
			name = "reason"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}
