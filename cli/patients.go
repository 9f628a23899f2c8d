package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/settings"
	"grapevine/registry"
)

// patients are the daemons that this machine is configured for, and what is
// wrong with their configurations themselves.
func (a *app) patients(agentFile, registryFile string) ([]*patient, []finding) {
	var patients []*patient
	findings := []finding{}
	for _, daemon := range []struct {
		named, usual, role string
		examine            func(path string) (*patient, error)
	}{
		{agentFile, agentConfigFile, "agent", a.agentPatient},
		{registryFile, registryConfigFile, "registry", a.registryPatient},
	} {
		path := daemon.named
		if path == "" {
			if _, err := os.Stat(daemon.usual); err != nil {
				continue
			}
			path = daemon.usual
		}
		p, err := daemon.examine(path)
		f := fine("config", path, "can be read")
		if err == nil && daemon.named == "" && idle(p) {
			f = fine("config", path, "sets no key, and there is no certificate: no "+daemon.role+" is set up here")
			f.Daemon = daemon.role
			findings = append(findings, f)
			continue
		}
		if err != nil {
			f = found("config", path, levelError, sentence(err), "correct the key; the keys are listed by: grapevine "+daemon.role+" --help")
		} else {
			patients = append(patients, p)
		}
		f.Daemon = daemon.role
		findings = append(findings, f)
	}
	if len(findings) > 0 && len(patients) == 0 && !slices.ContainsFunc(findings, func(f finding) bool { return f.Severity == levelError }) {
		findings = append(findings, found("config", "configuration", levelError, "neither an agent nor a registry is set up here",
			"make certificates with: grapevine tls, and see README.md, \"A first VM\""))
	}
	if len(findings) == 0 {
		findings = append(findings, found("config", "configuration", levelError, fmt.Sprintf("neither %s nor %s is there", agentConfigFile, registryConfigFile),
			"write one (README.md, \"A first VM\"), or name it with --agent-config or --registry-config"))
	}
	return patients, findings
}

// idle reports whether a daemon was only brought by a package: its file says
// nothing, and it has no certificate.
func idle(p *patient) bool {
	_, err := os.Stat(p.files.Cert)
	return errors.Is(err, os.ErrNotExist) && saysNothing(p.config)
}

// answering asks a node at addr which release it is.
func answering(addr string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		node, err := client.New(addr, client.Options{TLS: &tls.Config{InsecureSkipVerify: true}}) //nolint:gosec // it is asked for its release, and told nothing.
		if err != nil {
			return "", err
		}
		defer node.Close()
		return node.Version(ctx)
	}
}

// listing asks a node at addr who is in the mesh, as far as it tells that to
// everybody on this machine.
func listing(addr string) func(context.Context) ([]fleet.Member, error) {
	return func(ctx context.Context) ([]fleet.Member, error) {
		node, err := client.New(addr, client.Options{TLS: &tls.Config{InsecureSkipVerify: true}}) //nolint:gosec // it is asked for what is no secret.
		if err != nil {
			return nil, err
		}
		defer node.Close()
		list, err := node.Members(ctx)
		return list.Items, err
	}
}

// listingAsItself asks a registry who is in the mesh: over TLS by its own
// certificate, where doctor may read its key, and else by the token of who asks,
// if there is one.
func (a *app) listingAsItself(addr string, c *registry.Config) func(context.Context) ([]fleet.Member, error) {
	return func(ctx context.Context) ([]fleet.Member, error) {
		opts := client.Options{}
		if c.ListenTLS {
			own, err := identity.Load(identity.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}, a.now(), identity.Registry)
			if err != nil {
				return nil, err
			}
			opts.TLS = own.ClientTLS(own.Subject().ID, "http/1.1")
		} else {
			opts.Token = a.setting("", "GRAPEVINE_TOKEN")
		}
		node, err := client.New(addr, opts)
		if err != nil {
			return nil, err
		}
		defer node.Close()
		list, err := node.Members(ctx)
		return list.Items, err
	}
}

// hypervisorGroups are the groups that the agent's user must be in.
func hypervisorGroups(c *driverConfig) []string {
	if c.Driver != "libvirt" {
		return nil
	}
	return []string{"libvirt"}
}

func (a *app) agentPatient(path string) (*patient, error) {
	c := defaultAgent()
	if err := settings.For(c, environment).Load(path, a.lookup); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	driver, err := c.open(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &patient{
		role: identity.Agent, files: identity.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}, fleet: c.Fleet, gossipKey: c.GossipKeyFile,
		runs:    func(ctx context.Context) bool { return c.Socket != "" && answers(ctx, "unix://"+c.Socket) },
		dataDir: c.DataDir, socket: c.Socket, socketGroup: c.SocketGroup, join: c.Join,
		config: path, account: otherAccount(), groups: hypervisorGroups(&c.driverConfig), version: answering("unix://" + c.Socket), members: listing("unix://" + c.Socket),
		tcp:        []port{{"listen", c.Listen}, {"gossip_bind", c.GossipBind}},
		udp:        []port{{"gossip_bind", c.GossipBind}},
		hypervisor: func(ctx context.Context) []drivers.Finding { return diagnose(ctx, driver) },
	}, nil
}

func (a *app) registryPatient(path string) (*patient, error) {
	c := registry.Default()
	if err := settings.For(&c, environment).Load(path, a.lookup); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	addr := "http://" + c.Listen
	if c.ListenTLS {
		addr = "https://" + c.Listen
	}
	return &patient{
		config: path, account: otherAccount(), version: answering(addr), members: a.listingAsItself(addr, &c),
		role: identity.Registry, files: identity.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}, fleet: c.Fleet, gossipKey: c.GossipKeyFile,
		join: c.Join, tcp: []port{{"listen", c.Listen}, {"gossip_bind", c.GossipBind}}, udp: []port{{"gossip_bind", c.GossipBind}},
		runs: func(ctx context.Context) bool { return answers(ctx, addr) },
	}, nil
}

// diagnose asks a driver what it finds; one that has nothing of its own to look
// at is asked what its host is. It closes the driver.
func diagnose(ctx context.Context, driver drivers.Driver) (findings []drivers.Finding) {
	ctx, cancel := context.WithTimeout(ctx, diagnosis)
	defer cancel()
	if d, ok := driver.(drivers.Diagnoser); ok {
		findings = d.Diagnose(ctx)
	} else {
		findings = []drivers.Finding{describe(ctx, driver)}
	}
	if err := driver.Close(); err != nil {
		findings = append(findings, drivers.Finding{Code: "hypervisor", Severity: levelWarning, Subject: "hypervisor", Detail: sentence(err), Fix: "look at the hypervisor's own log"})
	}
	return findings
}

func describe(ctx context.Context, driver drivers.Driver) drivers.Finding {
	d, err := driver.Describe(ctx)
	if err != nil {
		return drivers.Finding{Code: "hypervisor", Severity: levelError, Subject: "hypervisor", Detail: sentence(err), Fix: "correct the driver's keys in agent.toml, or start the hypervisor"}
	}
	return drivers.Finding{Code: "hypervisor", Severity: levelOK, Subject: "hypervisor", Detail: fmt.Sprintf("%s answers: %s, %s, %s, %s",
		d.Hypervisor, strings.TrimSpace(d.Version), plural(int(d.Total.VCPUs), "logical CPU"), memory(d.Total.MemoryMiB), disk(d.Total.DiskGiB))}
}
