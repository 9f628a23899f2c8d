package cli

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
	"grapevine/identity"
)

// maxKeyFile bounds a file that should hold one key.
const maxKeyFile = 4 << 10

func (a *app) meshKeys() []*cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the keys that the members hold, by fingerprint", Args: takes(), Example: "  grapevine mesh keys list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			report, err := node.GossipKeys(cmd.Context())
			if err != nil {
				return err
			}
			return a.printKeys(report)
		},
	}
	use := a.keyVerb(fleet.GossipKeyUse, "Let every member encrypt with a key that all hold", "  grapevine mesh keys use 3f9a01c2b4d5")
	use.Flags().Bool("force", false, "also when some members do not hold it; they are cut off")
	remove := a.keyVerb(fleet.GossipKeyRemove, "Make every member forget a key that none uses", "  grapevine mesh keys remove 91be77a0c3d2")
	cmd := group("keys", "The keys that gossip is encrypted with, changed without a restart", []*cobra.Command{list, a.keysInstall(), use, remove})
	cmd.Long = "The keys that gossip is encrypted with. A key is never shown: its fingerprint, the first 12 digits of its SHA-256, names it.\n" +
		"To rotate: install a new key, put it into each node's gossip_key_file, use it, and remove the old one."
	return []*cobra.Command{cmd}
}

func (a *app) keysInstall() *cobra.Command {
	cmd := &cobra.Command{
		Use: "install FILE", Short: "Give every member a further key, from a file or - for stdin", Args: takes("FILE"),
		Long: "Gives every member a further key to read with; none encrypts with it yet. FILE holds base64 of 16, 24 or 32 bytes; - is\n" +
			"stdin. With --generate a new key is written to FILE, which must not exist.",
		Example: "  grapevine mesh keys install --generate new-gossip.key\n  openssl rand -base64 32 | grapevine mesh keys install -",
	}
	generate := cmd.Flags().Bool("generate", false, "make a new key and write it to FILE, readable by you alone")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		if *generate {
			if err := identity.WriteGossipKey(args[0], identity.NewGossipKey()); err != nil {
				return err
			}
		}
		key, err := a.readKey(args[0])
		if err != nil {
			return err
		}
		report, err := node.ChangeGossipKeys(cmd.Context(), fleet.GossipKeyChange{Action: fleet.GossipKeyInstall, Key: key})
		if err != nil {
			return err
		}
		return a.printKeys(report)
	}
	return cmd
}

// readKey reads a key as it stands in a file, base64.
func (a *app) readKey(path string) (string, error) {
	in := a.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("open key file: %w", err)
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("read key: %w", err)
	}
	key := strings.TrimSpace(string(content))
	raw, err := base64.StdEncoding.DecodeString(key)
	if n := len(raw); err != nil || n != 16 && n != 24 && n != 32 {
		return "", fmt.Errorf("%s does not hold a key: base64 of 16, 24 or 32 bytes; make one with --generate", path)
	}
	return key, nil
}

// keyVerb does something to a key that the members hold.
func (a *app) keyVerb(action fleet.GossipKeyAction, short, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(action) + " FINGERPRINT", Short: short, Args: takes("FINGERPRINT"), Example: example, ValidArgsFunction: a.completeKeys,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		if !fingerprint(args[0]) {
			return usage(cmd, "FINGERPRINT is not 12 hexadecimal digits; see grapevine mesh keys list")
		}
		force, _ := cmd.Flags().GetBool("force") // only use has it
		report, err := node.ChangeGossipKeys(cmd.Context(), fleet.GossipKeyChange{Action: action, Key: strings.ToLower(args[0]), Force: force})
		if err != nil {
			return err
		}
		return a.printKeys(report)
	}
	return cmd
}

// fingerprint reports whether s has the form of one. A key itself does not
// belong on a command line, where every user can read it.
func fingerprint(s string) bool {
	return len(s) == 12 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// printKeys shows a report; members that did not do it fail the command.
func (a *app) printKeys(report fleet.GossipKeyReport) error {
	if err := a.print(report, func() written { return gossipKeysTable(&report) }); err != nil {
		return err
	}
	for _, e := range report.Errors {
		a.note("member %s: %s", e.Name, e.Error)
	}
	if len(report.Errors) > 0 {
		return errReported
	}
	return nil
}

func gossipKeysTable(r *fleet.GossipKeyReport) written {
	head := []string{fmt.Sprintf("%d of %s answered", r.Answered, plural(r.Members, "member"))}
	if r.Changed != "" {
		head = append(head, "done to key "+r.Changed)
	}
	t := &table{columns: []column{{title: "KEY"}, {title: "HELD BY", right: true}, {title: "USED BY", right: true}}}
	for _, k := range r.Keys {
		t.add(text(k.Fingerprint), number(int64(k.Members)), number(int64(k.Primary)))
	}
	return headed{head, t}
}
