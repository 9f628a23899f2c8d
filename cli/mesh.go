package cli

import (
	"context"

	"github.com/spf13/cobra"

	"grapevine/api/client"
)

func (a *app) meshCommand() []*cobra.Command {
	cmd := group("mesh", "What the gossip knows, from whom, and how old it is", []*cobra.Command{
		{
			Use: "members", Short: "List the processes in the mesh, and since when this node has seen them so", Args: takes(),
			Long: "Lists all members that the node knows, agents and registries, those that failed or left included.\n" +
				"SINCE is for how long it has seen the member in this status, by its own clock.",
			Example: "  grapevine mesh members", RunE: meshVerb(a, (*client.Client).Members, membersTable),
		},
		{
			Use: "links", Short: "List the streams between this node and its peers", Args: takes(),
			Long: "Lists the links of the node. Bytes are counted before TLS. ANNOUNCED are versions announced to the peer, WANTED hosts\n" +
				"asked of it, REDUNDANT its answers that brought nothing new, DIRTY hosts whose newest version it still lacks.",
			Example: "  grapevine mesh links --addr https://192.0.2.7:7947", RunE: meshVerb(a, (*client.Client).Links, linksTable),
		},
		{
			Use: "digest", Short: "Show what this node holds of each host; equal roots mean equal fleets", Args: takes(),
			Example: "  grapevine mesh digest", RunE: meshVerb(a, (*client.Client).Digest, digestTable),
		},
		{
			Use: "lag", Short: "Show how old this node's view of each host is", Args: takes(),
			Long: "Shows how long ago each host was surely alive, as far as the node can tell, the oldest first. A healthy host gives a sign\n" +
				"of life every 30 seconds and with each change. WANTED is a version that was announced and is not held yet.",
			Example: "  grapevine mesh lag", RunE: meshVerb(a, (*client.Client).Lag, lagTable),
		},
		a.meshWatch(), a.meshTrace(), a.meshDiff(), a.meshRTT(), a.meshPing(), a.meshLeave(),
	}, a.meshKeys())
	cmd.Long = "What the gossip knows, from whom, and how old it is. Each command asks one node, an agent or a registry,\n" +
		"and shows the mesh as that node sees it."
	return []*cobra.Command{cmd}
}

// meshVerb is a read of one mesh route.
func meshVerb[T any](a *app, read func(*client.Client, context.Context) (T, error), shown func(T) written) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		answer, err := read(node, cmd.Context())
		if err != nil {
			return err
		}
		return a.print(answer, func() written { return shown(answer) })
	}
}
