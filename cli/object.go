package cli

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// objectPages reads every page of a list.
func objectPages[T any](read func(fleet.ObjectQuery) (fleet.List[T], error), project string) (fleet.List[T], error) {
	all := fleet.List[T]{Items: []T{}}
	q := fleet.ObjectQuery{Project: project}
	for {
		page, err := read(q)
		if err != nil {
			return fleet.List[T]{}, err
		}
		all.Items, all.Coverage = append(all.Items, page.Items...), page.Coverage
		if page.Next == "" {
			return all, nil
		}
		if q.Marker, err = fleet.ParseUUID(page.Next); err != nil {
			return fleet.List[T]{}, fmt.Errorf("read the next page: %w", err)
		}
	}
}

// endObject is the command that ends objects of a kind.
func (a *app) endObject(kind fleet.RecordKind, noun, arg, long string) *cobra.Command {
	cmd := &cobra.Command{Use: "delete " + arg + "...", Short: "Delete " + noun + "s", Long: long, Aliases: []string{"rm"}, Args: cobra.MinimumNArgs(1)}
	project := projectFlag(cmd, "project of the names")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		return a.each(args, func(arg string) error {
			done, err := node.EndObject(cmd.Context(), kind, fleet.ObjectRef{IDOrName: arg, Project: *project}, "")
			if err != nil {
				return err
			}
			return a.print(done, func() written {
				return line(fmt.Sprintf("%s %s (%s) is deleted; %s hold that", noun, done.Record.Name, done.Record.Subject, plural(len(done.Holders), "agent")))
			})
		})
	}
	return cmd
}

func projectFlag(cmd *cobra.Command, means string) *string {
	return cmd.Flags().String("project", "", means+" (default "+fleet.DefaultProject+")")
}

func (a *app) groupCommand() []*cobra.Command {
	return []*cobra.Command{group("group", "Server groups: instances that belong together, or apart", []*cobra.Command{
		a.groupCreate(), a.groupList(), a.groupShow(),
		a.endObject(fleet.MakeGroup, "server group", "GROUP", "Delete server groups. Their instances stay where they are."),
	})}
}

func (a *app) groupCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a server group", Args: takes("NAME"),
		Long: "Make a server group. With the policy anti-affinity no two of its instances are ever on one host, with affinity all are on one: the hosts\n" +
			"themselves see to it. soft-anti-affinity and soft-affinity are what placement prefers where it can choose.",
		Example: "  grapevine group create web --policy anti-affinity\n  grapevine instance create --name web-1 --group web --flavor small --image tiny",
	}
	project := projectFlag(cmd, "project that it belongs to")
	policy := cmd.Flags().String("policy", "", "anti-affinity, affinity, soft-anti-affinity or soft-affinity")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "policy"); err != nil {
			return err
		}
		ask := fleet.CreateGroup{Name: args[0], Project: *project, Policy: fleet.GroupPolicy(*policy)}
		if err := ask.Validate(); err != nil {
			return err
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		made, err := node.CreateGroup(cmd.Context(), ask)
		if err != nil {
			return err
		}
		return a.print(made, func() written { return groupTable([]fleet.Group{made}) })
	}
	return cmd
}

func (a *app) groupList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List server groups", Aliases: []string{"ls"}, Args: takes()}
	project := cmd.Flags().String("project", "", "only those of this project")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		groups, err := objectPages(func(q fleet.ObjectQuery) (fleet.List[fleet.Group], error) { return node.Groups(cmd.Context(), q) }, *project)
		if err != nil {
			return err
		}
		a.noteCoverage(groups.Coverage)
		return a.print(groups, func() written { return groupTable(groups.Items) })
	}
	return cmd
}

func groupTable(groups []fleet.Group) *table {
	t := &table{columns: []column{{title: "NAME"}, {title: "ID"}, {title: "PROJECT"}, {title: "POLICY"}, {title: "INSTANCES", right: true}, {title: "CREATED"}, {title: "BY"}}}
	for i := range groups {
		g := &groups[i]
		t.add(text(g.Name), cell{g.ID.String(), faint}, text(g.Project), text(string(g.Policy)), number(int64(g.Instances)), text(moment(g.CreatedAt)), text(g.By))
	}
	return t
}

func (a *app) groupShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show GROUP", Short: "Show a server group, with its instances and their hosts", Args: takes("GROUP")}
	project := projectFlag(cmd, "project of the name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		g, err := node.Group(cmd.Context(), fleet.ObjectRef{IDOrName: args[0], Project: *project})
		if err != nil {
			return err
		}
		return a.print(g, func() written {
			t := &table{columns: []column{{title: "GROUP"}, {title: "POLICY"}, {title: "INSTANCE"}, {title: "ID"}, {title: "HOST"}}}
			for _, m := range g.Members {
				t.add(text(g.Name), text(string(g.Policy)), text(m.Name), cell{m.Instance.String(), faint}, text(cmp.Or(m.HostName, m.Host.String())))
			}
			if len(g.Members) == 0 {
				t.add(text(g.Name), text(string(g.Policy)), cell{"none", faint}, cell{}, cell{})
			}
			return t
		})
	}
	return cmd
}

func (a *app) keyPairCommand() []*cobra.Command {
	return []*cobra.Command{group("keypair", "Public SSH keys under a name, for the guests' default user", []*cobra.Command{
		a.keyPairCreate(), a.keyPairList(), a.keyPairShow(),
		a.endObject(fleet.MakeKeyPair, "key pair", "KEYPAIR", "Delete key pairs. Instances that were created with them keep the public key."),
	})}
}

func (a *app) keyPairCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Give a public SSH key a name", Args: takes("NAME"),
		Long:    "Give a public SSH key a name. The private key stays with you: make a pair with ssh-keygen -t ed25519.",
		Example: "  grapevine keypair create alice --public-key ~/.ssh/id_ed25519.pub\n  grapevine instance create --name web --key-pair alice --flavor small --image debian",
	}
	project := projectFlag(cmd, "project that it belongs to")
	file := cmd.Flags().String("public-key", "", "file with the public key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "public-key"); err != nil {
			return err
		}
		content, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("read public key: %w", err)
		}
		ask := fleet.CreateKeyPair{Name: args[0], Project: *project, PublicKey: strings.TrimSpace(string(content))}
		if err := ask.Validate(); err != nil {
			return fmt.Errorf("%s: %w", *file, err)
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		made, err := node.CreateKeyPair(cmd.Context(), ask)
		if err != nil {
			return err
		}
		return a.print(made, func() written { return keyPairTable([]fleet.KeyPair{made}) })
	}
	return cmd
}

func (a *app) keyPairList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List key pairs", Aliases: []string{"ls"}, Args: takes()}
	project := cmd.Flags().String("project", "", "only those of this project")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		pairs, err := objectPages(func(q fleet.ObjectQuery) (fleet.List[fleet.KeyPair], error) { return node.KeyPairs(cmd.Context(), q) }, *project)
		if err != nil {
			return err
		}
		a.noteCoverage(pairs.Coverage)
		return a.print(pairs, func() written { return keyPairTable(pairs.Items) })
	}
	return cmd
}

func (a *app) keyPairShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show KEYPAIR", Short: "Show a key pair", Args: takes("KEYPAIR")}
	project := projectFlag(cmd, "project of the name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		k, err := node.KeyPair(cmd.Context(), fleet.ObjectRef{IDOrName: args[0], Project: *project})
		if err != nil {
			return err
		}
		return a.print(k, func() written { return keyPairTable([]fleet.KeyPair{k}) })
	}
	return cmd
}

func keyPairTable(pairs []fleet.KeyPair) *table {
	t := &table{columns: []column{{title: "NAME"}, {title: "ID"}, {title: "PROJECT"}, {title: "TYPE"}, {title: "FINGERPRINT"}, {title: "CREATED"}, {title: "BY"}}}
	for i := range pairs {
		k := &pairs[i]
		t.add(text(k.Name), cell{k.ID.String(), faint}, text(k.Project), text(k.Type), text(k.Fingerprint), text(moment(k.CreatedAt)), text(k.By))
	}
	return t
}
