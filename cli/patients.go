package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"grapevine/drivers"
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
		if err != nil {
			f = found("config", path, levelError, sentence(err), "correct the key; the keys are listed by: grapevine "+daemon.role+" --help")
		} else {
			patients = append(patients, p)
		}
		f.Daemon = daemon.role
		findings = append(findings, f)
	}
	if len(findings) == 0 {
		findings = append(findings, found("config", "configuration", levelError, fmt.Sprintf("neither %s nor %s is there", agentConfigFile, registryConfigFile),
			"write one (README.md, \"A first VM\"), or name it with --agent-config or --registry-config"))
	}
	return patients, findings
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
		dataDir: c.DataDir, socket: c.Socket, join: c.Join,
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
	return &patient{
		role: identity.Registry, files: identity.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}, fleet: c.Fleet, gossipKey: c.GossipKeyFile,
		join: c.Join, tcp: []port{{"listen", c.Listen}, {"gossip_bind", c.GossipBind}}, udp: []port{{"gossip_bind", c.GossipBind}},
		runs: func(ctx context.Context) bool {
			if c.ListenTLS {
				return answers(ctx, "https://"+c.Listen)
			}
			return answers(ctx, "http://"+c.Listen)
		},
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
