package cli

import (
	"context"

	"github.com/spf13/cobra"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/identity"
)

// finding is one thing that doctor looked at: what a driver finds, and on which
// daemon's behalf it was looked at.
type finding struct {
	Daemon string `json:"daemon,omitempty"` // agent or registry; empty for the machine itself
	drivers.Finding
}

const (
	levelOK      = drivers.SeverityOK
	levelWarning = drivers.SeverityWarning
	levelError   = drivers.SeverityError
)

func fine(code, subject, detail string) finding { return found(code, subject, levelOK, detail, "") }

func found(code, subject string, severity drivers.Severity, detail, fix string) finding {
	return finding{Finding: drivers.Finding{Code: code, Subject: subject, Severity: severity, Detail: detail, Fix: fix}}
}

// patient is what doctor looks at: a daemon as its configuration describes it.
type patient struct {
	role      identity.Role
	files     identity.Files
	fleet     string // as configured; empty: whatever the certificate says
	gossipKey string // path
	dataDir   string // empty for a registry
	socket    string // empty for none
	// socketGroup may use the socket.
	socketGroup string
	tcp, udp    []port
	join        []string
	// config is the file that says all this.
	config string
	// account is whom the daemon runs as, where that is not who asks, and groups
	// those that it must be in.
	account *unixUser
	groups  []string
	// version asks the daemon that runs which release it is.
	version func(context.Context) (string, error)
	// members asks it who is in the mesh.
	members func(context.Context) ([]fleet.Member, error)
	// runs says whether the daemon is running now.
	runs func(context.Context) bool
	// hypervisor asks the driver; nil for a registry.
	hypervisor func(context.Context) []drivers.Finding
}

// port is an address that a daemon listens on, and the key that says so.
type port struct{ key, address string }

func (a *app) doctorCommand() []*cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Say whether this machine is ready, and if not, what to do", Args: takes(),
		Long: "Look at the configuration, certificates, ports, clock and hypervisor of this machine. It changes nothing, and no agent or registry needs to run.",
	}
	var agentFile, registryFile string
	cmd.Flags().StringVar(&agentFile, "agent-config", "", "configuration of an agent (default "+agentConfigFile+", if it is there)")
	cmd.Flags().StringVar(&registryFile, "registry-config", "", "configuration of a registry (default "+registryConfigFile+", if it is there)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		patients, findings := a.patients(agentFile, registryFile)
		for _, p := range patients {
			findings = append(findings, a.examine(cmd.Context(), p)...)
		}
		return a.reportFindings(append(findings, clockFinding()))
	}
	return []*cobra.Command{cmd}
}

// examine makes every check on one daemon.
func (a *app) examine(ctx context.Context, p *patient) []finding {
	running := p.runs(ctx)
	findings := append([]finding{a.checkCertificate(p), checkGossipKey(p)}, checkAccount(p)...)
	if p.dataDir != "" {
		findings = append(findings, checkFolder(p.dataDir), checkRoom(p.dataDir))
	}
	if p.socket != "" {
		findings = append(findings, checkSocket(p.socket, running))
		findings = append(findings, checkSocketGroup(p.socketGroup)...)
	}
	if running && p.version != nil {
		findings = append(findings, checkVersion(ctx, p.version))
	}
	if running && p.members != nil {
		findings = append(findings, checkIssuers(ctx, p)...)
		findings = append(findings, checkAlike(ctx, p)...)
	}
	findings = append(findings, checkPorts(ctx, p, running)...)
	findings = append(findings, checkJoin(ctx, p.join)...)
	if p.hypervisor != nil {
		findings = append(findings, checkConverter())
	}
	if p.hypervisor != nil {
		for _, f := range p.hypervisor(ctx) {
			findings = append(findings, finding{Finding: f})
		}
	}
	for i := range findings {
		findings[i].Daemon = string(p.role)
	}
	return findings
}

// reportFindings shows them, and fails when one is an error.
func (a *app) reportFindings(findings []finding) error {
	if err := a.print(map[string]any{"items": findings}, func() written { return findingTable(findings) }); err != nil {
		return err
	}
	for _, f := range findings {
		if f.Severity == levelError {
			return errReported
		}
	}
	return nil
}

func findingTable(findings []finding) *table {
	t := &table{columns: []column{{title: "FOR"}, {title: "WHAT"}, {title: "RESULT"}, {title: "DETAIL"}}}
	moods := map[drivers.Severity]mood{levelOK: good, levelWarning: uneasy, levelError: bad}
	for _, f := range findings {
		daemon := f.Daemon
		if daemon == "" {
			daemon = "machine"
		}
		t.add(text(daemon), text(f.Subject), cell{string(f.Severity), moods[f.Severity]}, text(f.Detail))
		if f.Fix != "" {
			t.add(text(""), text(""), text(""), text("-> "+f.Fix))
		}
	}
	return t
}
