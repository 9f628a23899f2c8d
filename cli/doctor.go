package cli

import (
	"context"

	"grapevine/identity"
)

// level is how bad a finding is.
type level string

const (
	levelOK      level = "ok"
	levelWarning level = "warning"
	levelError   level = "error"
)

// finding is one thing that doctor looked at.
type finding struct {
	Check  string `json:"check"`
	Level  level  `json:"level"`
	Detail string `json:"detail"`
	// Fix is what to do; empty where all is well.
	Fix string `json:"fix,omitempty"`
}

func fine(check, detail string) finding { return finding{check, levelOK, detail, ""} }

// patient is what doctor looks at: a daemon as its configuration describes it.
type patient struct {
	role      identity.Role
	files     identity.Files
	fleet     string // as configured; empty: whatever the certificate says
	gossipKey string // path
	dataDir   string // empty for a registry
	socket    string // empty for none
	tcp, udp  []port
	join      []string
	// hypervisor asks the driver; nil for a registry.
	hypervisor func(context.Context) []finding
}

// port is an address that a daemon listens on, and the key that says so.
type port struct{ key, address string }

// examine makes every check on one daemon.
func (a *app) examine(ctx context.Context, p *patient) []finding {
	running := agentRuns(ctx, p.socket)
	findings := []finding{a.checkCertificate(p), checkGossipKey(p)}
	if p.dataDir != "" {
		findings = append(findings, checkFolder(p.dataDir))
	}
	if p.socket != "" {
		findings = append(findings, checkSocket(p.socket, running))
	}
	findings = append(findings, checkPorts(ctx, p, running)...)
	findings = append(findings, checkJoin(ctx, p.join)...)
	if p.hypervisor != nil {
		findings = append(findings, p.hypervisor(ctx)...)
	}
	for i := range findings {
		findings[i].Check = string(p.role) + ": " + findings[i].Check
	}
	return findings
}

// reportFindings shows them, and fails when one is an error.
func (a *app) reportFindings(findings []finding) error {
	if err := a.print(map[string]any{"items": findings}, func() written { return findingTable(findings) }); err != nil {
		return err
	}
	for _, f := range findings {
		if f.Level == levelError {
			return errReported
		}
	}
	return nil
}

func findingTable(findings []finding) *table {
	t := &table{columns: []column{{title: "CHECK"}, {title: "RESULT"}, {title: "WHAT"}}}
	moods := map[level]mood{levelOK: good, levelWarning: uneasy, levelError: bad}
	for _, f := range findings {
		t.add(text(f.Check), cell{string(f.Level), moods[f.Level]}, text(f.Detail))
		if f.Fix != "" {
			t.add(text(""), text(""), cell{"-> " + f.Fix, plain})
		}
	}
	return t
}
