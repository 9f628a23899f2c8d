package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) tokenCommand() []*cobra.Command {
	cmd := group("token", "Join tokens: let a host or a registry in by one word", []*cobra.Command{a.tokenCreate(), a.tokenList(), a.joinTokenRevoke()})
	cmd.Long = "Join tokens: let a host or a registry in by one word. They are made, kept and taken by one node that holds a CA (grapevine tls\n" +
		"intermediate): an agent keeps them over a restart, a registry does not."
	return []*cobra.Command{cmd}
}

func (a *app) tokenCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Make a token that lets one node in, once", Args: takes(),
		Long: "Makes a token that lets one node in, once, until it expires. It is shown once: give it to `grapevine join` on the new host.\n" +
			"Whoever has it can become a member of the fleet: pass it on as you would a password.",
		Example: "  grapevine token create\n  grapevine token create --host-id 5b1f...   # a host that was installed anew",
	}
	role, hostID, ttl := "agent", "", fleet.DefaultJoinTTL
	cmd.Flags().StringVar(&role, "role", role, "what is let in: agent or registry")
	cmd.Flags().StringVar(&hostID, "host-id", "", "id of a host whose identity is restored (default: a new host)")
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "how long it may be used, a week at most")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ask := fleet.MakeJoinToken{Role: fleet.Role(role), TTLSeconds: int64(ttl / time.Second)}
		if ttl < time.Second {
			return usage(cmd, "--ttl %s is less than a second", ttl)
		}
		if hostID != "" {
			var err error
			if ask.HostID, err = fleet.ParseUUID(hostID); err != nil {
				return usage(cmd, "--host-id: %v", err)
			}
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		made, err := node.CreateJoinToken(cmd.Context(), ask)
		if err != nil {
			return err
		}
		a.note("token %s is good once, until %s; on the new host: grapevine join ADDRESS TOKEN", made.ID, moment(made.ExpiresAt))
		return a.print(made, func() written { return line(made.Token) })
	}
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the join tokens of this node that can still be used", Aliases: []string{"ls"}, Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			list, err := node.JoinTokens(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(list, func() written { return tokenTable(list.Items) })
		},
	}
}

func tokenTable(rows []fleet.JoinTokenRow) *table {
	t := &table{columns: []column{{title: "ID"}, {title: "ROLE"}, {title: "HOST ID"}, {title: "EXPIRES"}, {title: "BY"}}}
	for i := range rows {
		host := "new"
		if !rows[i].HostID.IsZero() {
			host = rows[i].HostID.String()
		}
		t.add(text(rows[i].ID), text(string(rows[i].Role)), text(host), text(moment(rows[i].ExpiresAt)), text(rows[i].By))
	}
	return t
}

func (a *app) joinTokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Make a join token useless", Args: takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			gone, err := node.DropJoinToken(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(gone, func() written { return line(fmt.Sprintf("token %s is good for nothing any more", gone.ID)) })
		},
	}
}
