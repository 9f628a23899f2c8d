package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
	"grapevine/identity"
)

// The names of the files that tls makes. They are those that agents and
// registries look for by default.
const (
	caFile     = "ca.pem"
	caKeyFile  = "ca-key.pem"
	gossipFile = "gossip.key"
	// Those of an intermediate.
	issuerFile    = "issuer.pem"
	issuerKeyFile = "issuer-key.pem"
)

func (a *app) tlsCommand() []*cobra.Command {
	return []*cobra.Command{group("tls", "Make the fleet's CA, certificates and gossip key", []*cobra.Command{a.tlsInit(), a.tlsIntermediate(), a.tlsIssue(), a.tlsRotate()})}
}

func (a *app) tlsInit() *cobra.Command {
	cmd := &cobra.Command{Use: "init", Short: "Make a fleet's CA and gossip key; keep the CA's key off the hosts", Args: takes()}
	var dir, name string
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the new files")
	cmd.Flags().StringVar(&name, "fleet", "", "name of the fleet: lower-case letters, digits, hyphens")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "dir", "fleet"); err != nil {
			return err
		}
		ca, err := identity.NewCA(name, a.now())
		if err != nil {
			return err
		}
		for _, file := range []string{caFile, caKeyFile, gossipFile} {
			if _, err := os.Lstat(filepath.Join(dir, file)); err == nil {
				return fmt.Errorf("%s exists already and is not replaced; give an empty folder", filepath.Join(dir, file))
			}
		}
		if err := ca.Pair().Write(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile)); err != nil {
			return err
		}
		if err := identity.WriteGossipKey(filepath.Join(dir, gossipFile), identity.NewGossipKey()); err != nil {
			return err
		}
		made := map[string]string{"fleet": name, "ca": filepath.Join(dir, caFile), "ca_key": filepath.Join(dir, caKeyFile), "gossip_key": filepath.Join(dir, gossipFile)}
		return a.print(made, func() written {
			return line(fmt.Sprintf("fleet %s: made %s, %s and %s in %s", name, caFile, caKeyFile, gossipFile, dir))
		})
	}
	return cmd
}

func (a *app) tlsIntermediate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "intermediate", Short: "Make a CA that an agent or a registry holds, to let others in", Args: takes(),
		Long: "Makes a CA that the fleet's root vouches for and that an agent or a registry holds: that node takes join tokens and renews\n" +
			"certificates, and the root's key stays off the hosts. Put the two files on the node, readable by the user grapevine alone, and\n" +
			"name them with ca_cert_file and ca_key_file. It issues to agents and registries, never to operators.",
		Example: "  grapevine tls intermediate --dir fleet --name registry-1 --out registry-1",
	}
	var dir, out, name string
	lifetime := 5 * 365 * 24 * time.Hour
	cmd.Flags().StringVar(&dir, "dir", "", "folder that tls init made")
	cmd.Flags().StringVar(&out, "out", "", "folder for the new files")
	cmd.Flags().StringVar(&name, "name", "", "name of the node that will hold it")
	cmd.Flags().DurationVar(&lifetime, "lifetime", lifetime, "how long it is valid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "dir", "out", "name"); err != nil {
			return err
		}
		root, err := loadRoot(dir)
		if err != nil {
			return err
		}
		made, err := root.NewIntermediate(name, lifetime, a.now())
		if err != nil {
			return err
		}
		certFile, keyFile := filepath.Join(out, issuerFile), filepath.Join(out, issuerKeyFile)
		if err := made.Pair().Write(certFile, keyFile); err != nil {
			return err
		}
		files := map[string]string{"fleet": made.Fleet(), "name": name, "ca_cert": certFile, "ca_key": keyFile}
		return a.print(files, func() written {
			return lines{
				fmt.Sprintf("made %s and its key for %s, valid until %s; on that node set", certFile, name, made.NotAfter().Format(time.DateOnly)),
				fmt.Sprintf("  ca_cert_file = \"/etc/grapevine/tls/%s\"", issuerFile), fmt.Sprintf("  ca_key_file = \"/etc/grapevine/tls/%s\"", issuerKeyFile),
			}
		})
	}
	return cmd
}

// loadRoot reads the root that certificates are to be of: the first in its file.
// While it is new its key has another name.
func loadRoot(dir string) (*identity.CA, error) {
	root, err := identity.LoadCA(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile))
	if err != nil {
		if next, found := identity.LoadCA(filepath.Join(dir, caFile), filepath.Join(dir, nextCAKeyFile)); found == nil {
			return next, nil
		}
	}
	return root, err
}

// issue is what a certificate is asked for with.
type issue struct {
	dir, out, role, id, name string
	hosts                    []string
	lifetime                 time.Duration
}

func (a *app) tlsIssue() *cobra.Command {
	cmd := &cobra.Command{
		Use: "issue", Short: "Issue a certificate to an agent, a registry or an operator", Args: takes(),
		Example: "  grapevine tls issue --dir fleet --role agent --name kvm-1 --host kvm-1.example.org --out kvm-1",
	}
	var i issue
	flags := cmd.Flags()
	flags.StringVar(&i.dir, "dir", "", "folder that tls init made")
	flags.StringVar(&i.out, "out", "", "folder for the new files, which goes to the node as /etc/grapevine/tls")
	flags.StringVar(&i.role, "role", "", "agent, registry or operator")
	flags.StringVar(&i.name, "name", "", "name of the host, registry or person")
	flags.StringVar(&i.id, "id", "", "id to bind it to: a host's own when it gets a new certificate (default: a random one)")
	flags.StringSliceVar(&i.hosts, "host", nil, "DNS name or address that browsers know the node by; may be repeated")
	flags.DurationVar(&i.lifetime, "lifetime", 2*365*24*time.Hour, "how long it is valid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "dir", "out", "role", "name"); err != nil {
			return err
		}
		return a.issue(&i)
	}
	return cmd
}

func (a *app) issue(i *issue) error {
	ca, err := loadRoot(i.dir)
	if err != nil {
		return err
	}
	subject := identity.Subject{Role: identity.Role(i.role), Name: i.name, Hosts: i.hosts}
	if i.id == "" {
		i.id = randomKey()
	}
	if subject.ID, err = fleet.ParseUUID(i.id); err != nil {
		return fmt.Errorf("--id: %w", err)
	}
	pair, err := ca.Issue(subject, i.lifetime, a.now())
	if err != nil {
		return err
	}
	if err := i.copyShared(subject.Role, ca); err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(i.out, i.role+".pem"), filepath.Join(i.out, i.role+"-key.pem")
	if err := pair.Write(certFile, keyFile); err != nil {
		return err
	}
	made := map[string]string{"role": i.role, "id": i.id, "name": i.name, "cert": certFile, "key": keyFile, "ca": filepath.Join(i.out, caFile)}
	return a.print(made, func() written {
		return line(fmt.Sprintf("issued %s and its key to %s %s, id %s, valid until %s", certFile, i.role, i.name, i.id, a.now().Add(i.lifetime).Format(time.DateOnly)))
	})
}

// copyShared puts the files that all nodes have in common beside the new ones:
// the CA's certificate, and for members of the mesh the gossip key.
func (i *issue) copyShared(role identity.Role, ca *identity.CA) error {
	if err := writeSame(filepath.Join(i.out, caFile), ca.CertPEM(), 0o644); err != nil {
		return err
	}
	if role == identity.Operator {
		return nil
	}
	key, err := os.ReadFile(filepath.Join(i.dir, gossipFile))
	if err != nil {
		return fmt.Errorf("read gossip key: %w", err)
	}
	return writeSame(filepath.Join(i.out, gossipFile), key, 0o600)
}

// writeSame writes a file, or finds the same one there.
func writeSame(path string, content []byte, mode fs.FileMode) error {
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return identity.WriteNew(path, content, mode)
	case err != nil:
		return fmt.Errorf("read %s: %w", path, err)
	case !bytes.Equal(old, content):
		return fmt.Errorf("%s is there and is that of another fleet; give another folder", path)
	default:
		return nil
	}
}
