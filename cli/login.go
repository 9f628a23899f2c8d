package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) loginCommand() *cobra.Command {
	var ask fleet.IssueToken
	var byKey bool
	var oidc oidcFlags
	cmd := &cobra.Command{
		Use: "login", Short: "Get a token of a registry, and print it", Args: takes(),
		Long: `Get a token of a registry, and print it. The password is asked for without
showing it, or read from standard input as one line. With --api-key the key is
read in its place ($GRAPEVINE_API_KEY, or standard input).

With --oidc you log in at the OpenID provider of the registry: in a browser on
this machine, or with --device on any other one. A program that has an ID token
of the provider gives it with --id-token-file, - for standard input.

The token is sent by every command that finds it in GRAPEVINE_TOKEN, to any
registry and any agent of the fleet, until it ends.`,
		Example: "  export GRAPEVINE_TOKEN=$(grapevine login --user alice --project shop)\n" +
			"  export GRAPEVINE_TOKEN=$(grapevine login --oidc)",
	}
	oidc.register(cmd.Flags())
	cmd.Flags().StringVar(&ask.User, "user", "", "user to log in as (default $USER)")
	cmd.Flags().StringVar(&ask.Project, "project", "", "project that the token is for; may be left out where there is only one")
	cmd.Flags().BoolVar(&byKey, "api-key", false, "log in with an API key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if byKey && ask.User != "" {
			return usage(cmd, "--user is not needed with --api-key, which says whose it is")
		}
		if err := oidc.check(cmd, byKey || ask.User != ""); err != nil {
			return err
		}
		node, err := a.nobody(cmd)
		if err != nil {
			return err
		}
		if oidc.used() {
			ask.IDToken, err = a.idToken(cmd.Context(), node, &oidc)
		} else {
			err = a.askSecret(&ask, byKey)
		}
		if err != nil {
			return err
		}
		token, err := node.IssueToken(cmd.Context(), ask)
		if err != nil {
			return err
		}
		whose := token.Role + " " + fleet.Person{User: token.User, Project: token.Project}.String()
		a.note("logged in as %s until %s; send the token with GRAPEVINE_TOKEN", whose, token.ExpiresAt.Local().Format("15:04:05"))
		return a.print(token, func() written { return line(token.Token) })
	}
	return cmd
}

// askSecret fills in who logs in and by what.
func (a *app) askSecret(ask *fleet.IssueToken, byKey bool) (err error) {
	if byKey {
		if ask.APIKey = a.setting("", "GRAPEVINE_API_KEY"); ask.APIKey == "" {
			ask.APIKey, err = a.secret("API key: ")
		}
		return err
	}
	ask.User = a.setting(ask.User, "USER")
	ask.Password, err = a.secret("Password of " + visible(ask.User) + ": ")
	return err
}

// nobody is the node as somebody asks it who has no token yet, or an old one.
func (a *app) nobody(cmd *cobra.Command) (*client.Client, error) {
	without := *a
	without.lookup = func(name string) (string, bool) {
		if name == "GRAPEVINE_TOKEN" {
			return "", false
		}
		return a.lookup(name)
	}
	return without.node(cmd.Context())
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Revoke the token in GRAPEVINE_TOKEN", Args: takes(),
		Long: "Revoke the token in GRAPEVINE_TOKEN: no node of the fleet takes it from then on.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.setting("", "GRAPEVINE_TOKEN") == "" {
				return usage(cmd, "GRAPEVINE_TOKEN is not set, so there is no token to revoke")
			}
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			done, err := node.RevokeOwnToken(cmd.Context())
			return a.revoked(done, err)
		},
	}
}

func (a *app) userRevoke(cmd *cobra.Command, args []string) error {
	return a.revoke(cmd, fleet.RevokeTokens{User: args[0]})
}

func (a *app) tokenRevoke(cmd *cobra.Command, args []string) error {
	id, err := fleet.ParseUUID(args[0])
	if err != nil {
		return usage(cmd, "token id %v", err)
	}
	return a.revoke(cmd, fleet.RevokeTokens{ID: id})
}

func (a *app) revoke(cmd *cobra.Command, ask fleet.RevokeTokens) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	done, err := node.RevokeTokens(cmd.Context(), ask, client.RevokeOptions{})
	return a.revoked(done, err)
}

func (a *app) revoked(done fleet.Decided, err error) error {
	if err != nil {
		return err
	}
	what := "token " + done.Record.Subject.String() + " is revoked"
	if done.Record.Kind == fleet.RevokeUser {
		what = "all tokens that " + done.Record.Name + " has got so far are revoked"
	}
	return a.print(done, func() written {
		return line(fmt.Sprintf("%s; %s", what, "held by "+plural(len(done.Holders), "agent")))
	})
}

func (a *app) userList(cmd *cobra.Command, _ []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	users, err := node.Users(cmd.Context())
	if err != nil {
		return err
	}
	return a.print(users, func() written {
		t := &table{columns: []column{{title: "NAME"}, {title: "ROLE", sparse: true}, {title: "PROJECTS", sparse: true}, {title: "API KEYS", sparse: true}, {title: "STATE"}}}
		for _, u := range users.Items {
			state := cell{"enabled", good}
			if u.Disabled {
				state = cell{"disabled", bad}
			}
			t.add(text(u.Name), text(u.Role), text(strings.Join(u.Projects, " ")), text(strings.Join(u.Keys, " ")), state)
		}
		return t
	})
}

func (a *app) projectCommand() *cobra.Command {
	return group("project", "Projects of the registries' users file", []*cobra.Command{
		{Use: "list", Short: "List projects, with what each has and may have", Aliases: []string{"ls"}, Args: takes(), RunE: a.projectList},
	})
}

func (a *app) projectList(cmd *cobra.Command, _ []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	projects, err := node.Projects(cmd.Context())
	if err != nil {
		return err
	}
	return a.print(projects, func() written {
		t := &table{columns: []column{
			{title: "NAME"},
			{title: "INSTANCES", right: true},
			{title: "VCPUS", right: true},
			{title: "MEMORY MIB", right: true},
			{title: "DISK GIB", right: true},
			{title: "NETWORK", sparse: true},
			{title: "MEMBERS", sparse: true},
			{title: "READERS", sparse: true},
		}}
		for i := range projects.Items {
			p := &projects.Items[i]
			row := []cell{text(p.Name)}
			for _, resource := range []string{"instances", "vcpus", "memory_mib", "disk_gib"} {
				row = append(row, usedOf(p, resource))
			}
			slices.Sort(p.Members)
			t.add(append(row, text(p.Network), text(strings.Join(p.Members, " ")), text(strings.Join(p.Readers, " ")))...)
		}
		return t
	})
}

// usedOf shows what a project has of what it may have.
func usedOf(p *fleet.Project, resource string) cell {
	used := strconv.FormatInt(p.Used[resource], 10)
	most, limited := p.Quota[resource]
	switch {
	case !limited:
		return text(used)
	case p.Used[resource] >= most:
		return cell{used + " of " + strconv.FormatInt(most, 10), uneasy}
	default:
		return text(used + " of " + strconv.FormatInt(most, 10))
	}
}
