package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/buildinfo"
	"grapevine/internal/hostname"
	"grapevine/internal/settings"
)

// The file of members to join through, and the user that the daemons run as.
const (
	joinFile    = "join"
	daemonOwner = "grapevine"
)

// joining is what a host is let in with.
type joining struct {
	dir, name, owner, config string
	hosts                    []string
	force                    bool
}

func (a *app) joinCommand() []*cobra.Command {
	j := joining{dir: "/etc/grapevine/tls", owner: daemonOwner}
	cmd := &cobra.Command{
		Use: "join ADDRESS TOKEN", Short: "Make this host, or a registry, a member of a fleet by a join token", Args: takes("ADDRESS", "TOKEN"),
		Long: "Makes this host, or a registry, a member of a fleet. ADDRESS is the HTTPS address of the node that made the token, host:port; without\n" +
			"a port 7948 is tried, a registry's, and then 7947, an agent's. The node is known by the hash in the token. The key is made here\n" +
			"and does not leave this host; the certificate, the fleet's CA, the gossip key and the members to join through are written to --dir,\n" +
			"where agent and registry look for them.",
		Example: "  grapevine join registry.example.org:7948 gvj1.q83v...",
	}
	flags := cmd.Flags()
	flags.StringVar(&j.dir, "dir", j.dir, "folder for the new files")
	flags.StringVar(&j.name, "name", "", "name of the host or registry (default: the machine's host name)")
	flags.StringSliceVar(&j.hosts, "host", nil, "DNS name or address that browsers know the node by; may be repeated")
	flags.StringVar(&j.owner, "owner", j.owner, "user that the files are given to, where root asks; empty for none")
	flags.StringVar(&j.config, "config", agentConfigFile, "agent's configuration; of an ESXi host the id is asked there")
	flags.BoolVar(&j.force, "force", false, "replace an identity that is there already")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.join(cmd.Context(), &j, args[0], args[1]) }
	return []*cobra.Command{cmd}
}

func (a *app) join(ctx context.Context, j *joining, address, text string) error {
	token, err := enrol.ParseToken(text)
	if err != nil {
		return err
	}
	owner, err := j.ownerOf()
	if err != nil {
		return err
	}
	for _, role := range []string{"agent", "registry"} {
		if _, err := os.Lstat(filepath.Join(j.dir, role+".pem")); err == nil && !j.force {
			return fmt.Errorf("%s is there: this machine has an identity already; give --force to replace it, or another --dir", filepath.Join(j.dir, role+".pem"))
		}
	}
	j.name = cmp.Or(j.name, hostname.Short(), "unnamed")
	hardware, err := a.hardwareID(ctx, j.config)
	if err != nil {
		return err
	}
	csr, key, err := identity.NewRequest(j.name, append([]string{j.name}, j.hosts...))
	if err != nil {
		return err
	}
	node, err := knownByHash(ctx, address, &token)
	if err != nil {
		return err
	}
	defer node.Close()
	joined, err := node.Join(ctx, fleet.Join{Token: token.ID, Secret: token.Secret(), HostID: hardware, CSR: string(csr)})
	if err != nil {
		return err
	}
	if err := j.write(&joined, key, owner, a); err != nil {
		return fmt.Errorf("%w; the token is used up: mend this, make another, and join again", err)
	}
	next := "systemctl enable --now grapevine-" + string(joined.Role)
	return a.print(map[string]string{"fleet": joined.Fleet, "role": string(joined.Role), "id": joined.ID.String(), "name": j.name, "dir": j.dir, "next": next}, func() written {
		return lines{fmt.Sprintf("%s %s is a member of fleet %s, id %s; its files are in %s", joined.Role, j.name, joined.Fleet, joined.ID, j.dir), "next: " + next}
	})
}

// ownerOf looks the owner up, where files can be given away.
func (j *joining) ownerOf() (identity.Owner, error) {
	if os.Geteuid() != 0 || j.owner == "" {
		return identity.Owner{}, nil
	}
	u, err := user.Lookup(j.owner)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) && j.owner == daemonOwner {
		return identity.Owner{}, nil // nothing is installed yet that would run as it
	}
	if err != nil {
		return identity.Owner{}, fmt.Errorf("--owner: %w", err)
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	return identity.Owner{UID: uid, GID: gid, Set: true}, errors.Join(uerr, gerr)
}

// hardwareID is the id that a hypervisor gives to its host, as ESXi does; zero
// for none.
func (a *app) hardwareID(ctx context.Context, config string) (fleet.HostID, error) {
	c := defaultAgent()
	if _, err := os.Stat(config); err != nil {
		return fleet.HostID{}, nil //nolint:nilerr // without a configuration the host is one of the usual kind
	}
	if err := settings.For(c, environment).Load(config, a.lookup); err != nil {
		return fleet.HostID{}, err
	}
	if c.Driver != "esxi" {
		return fleet.HostID{}, nil
	}
	driver, err := c.open(slog.New(slog.DiscardHandler))
	if err != nil {
		return fleet.HostID{}, err
	}
	within, cancel := context.WithTimeout(ctx, diagnosis)
	defer cancel()
	d, err := driver.Describe(within)
	if err = errors.Join(err, driver.Close()); err != nil {
		return fleet.HostID{}, fmt.Errorf("ask the hypervisor that %s names for its id: %w", config, err)
	}
	return d.HostID, nil
}

// knownByHash finds the node that a token is of. Nothing secret is said before
// its CA is known to be the token's.
func knownByHash(ctx context.Context, address string, token *enrol.Token) (*client.Client, error) {
	if strings.Contains(address, "://") && !strings.HasPrefix(address, "https://") {
		return nil, fmt.Errorf("address %.200q is not one of HTTPS; give host:port", address)
	}
	address = strings.TrimSuffix(strings.TrimPrefix(address, "https://"), "/")
	addresses := []string{address}
	if _, _, err := net.SplitHostPort(address); err != nil {
		bare := strings.Trim(address, "[]")
		addresses = []string{net.JoinHostPort(bare, "7948"), net.JoinHostPort(bare, "7947")}
	}
	var failed []error
	for _, at := range addresses {
		node, err := trustedAt(ctx, at, token)
		if err == nil || !errors.Is(err, client.ErrUnreachable) {
			return node, err
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

func trustedAt(ctx context.Context, address string, token *enrol.Token) (*client.Client, error) {
	opts := client.Options{UserAgent: "grapevine/" + buildinfo.Version()}
	opts.TLS = &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} //nolint:gosec // it is asked for its CA alone, which is compared with the token's hash.
	stranger, err := client.New("https://"+address, opts)
	if err != nil {
		return nil, err
	}
	defer stranger.Close()
	shown, err := stranger.Trust(ctx)
	if err != nil {
		return nil, err
	}
	if opts.TLS, _, err = identity.TrustHash([]byte(shown.CA), token.Root); err != nil {
		return nil, err
	}
	return client.New("https://"+address, opts)
}

// write puts the files where agent and registry look for them.
func (j *joining) write(joined *fleet.Joined, key []byte, owner identity.Owner, a *app) error {
	role := identity.Role(joined.Role)
	pair := identity.Pair{CertPEM: []byte(joined.Certificate), KeyPEM: key}
	if _, err := identity.New([]byte(joined.CA), pair, a.now(), role); err != nil {
		return fmt.Errorf("use what the node issued: %w", err)
	}
	at := func(name string) string { return filepath.Join(j.dir, name) }
	if err := os.MkdirAll(j.dir, 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if owner.Set { // who renews the certificate writes beside it
		if err := os.Chown(j.dir, owner.UID, owner.GID); err != nil {
			return fmt.Errorf("give away folder: %w", err)
		}
	}
	if err := identity.WriteWhole(at(gossipFile), []byte(strings.Join(joined.GossipKeys, "\n")+"\n"), 0o600, owner); err != nil {
		return err
	}
	if err := identity.WriteWhole(at(joinFile), []byte(strings.Join(joined.Join, "\n")+"\n"), 0o644, owner); err != nil {
		return err
	}
	return identity.Install(identity.Files{CA: at(caFile), Cert: at(string(role) + ".pem"), Key: at(string(role) + "-key.pem")}, []byte(joined.CA), pair, owner)
}
