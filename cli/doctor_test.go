package cli

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/identity"
)

// healthy is a patient that lacks nothing, on ports that are free.
func healthy(t *testing.T) *patient {
	t.Helper()
	dir := t.TempDir()
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca", "--fleet", "one").wants(t, 0, "", "")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "agent", "--name", "kvm-1", "--out", dir+"/tls").wants(t, 0, "", "")
	member, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { member.Close() })
	socket := dir + "/agent.sock"
	return &patient{
		runs: func(ctx context.Context) bool { return answers(ctx, "unix://"+socket) },
		role: identity.Agent, fleet: "one", gossipKey: dir + "/tls/gossip.key", dataDir: dir + "/state/agent", socket: socket,
		files: identity.Files{CA: dir + "/tls/ca.pem", Cert: dir + "/tls/agent.pem", Key: dir + "/tls/agent-key.pem"},
		tcp:   []port{{"api_bind", "127.0.0.1:0"}}, udp: []port{{"gossip_bind", "127.0.0.1:0"}},
		join: []string{member.Addr().String()},
		hypervisor: func(context.Context) []drivers.Finding {
			return []drivers.Finding{{Code: "hypervisor", Severity: drivers.SeverityOK, Subject: "hypervisor", Detail: "answers"}}
		},
	}
}

// examined returns the finding with this code, and this in its subject.
func examined(t *testing.T, p *patient, code, subject string, now time.Time) finding {
	t.Helper()
	a := &app{now: func() time.Time { return now }}
	for _, f := range a.examine(t.Context(), p) {
		if f.Daemon == "agent" && f.Code == code && strings.Contains(f.Subject, subject) {
			return f
		}
	}
	t.Fatalf("no finding %q about %q", code, subject)
	return finding{}
}

func TestDoctorFindsNothingWrongWithAHealthyHost(t *testing.T) {
	a := &app{now: time.Now}
	p := healthy(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "qemu-img"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	findings := a.examine(t.Context(), p)
	if len(findings) != 10 {
		t.Errorf("got %d findings, want 10: %v", len(findings), findings)
	}
	for _, f := range findings {
		if f.Severity != levelOK || f.Fix != "" {
			t.Errorf("got %+v, want ok", f)
		}
	}
	if _, err := os.Stat(filepath.Dir(p.dataDir)); err == nil {
		t.Error("doctor made the data folder")
	}
}

func TestDoctorWarnsWhereNothingConvertsDisks(t *testing.T) {
	p := healthy(t)
	t.Setenv("PATH", t.TempDir())
	if f := examined(t, p, "images", "qemu-img", time.Now()); f.Severity != levelWarning || !strings.Contains(f.Fix, "qemu-utils") {
		t.Errorf("got %+v", f)
	}
}

func TestDoctorSaysWhetherAnybodyRenewsCertificates(t *testing.T) {
	p := healthy(t)
	for _, c := range []struct {
		members []fleet.Member
		err     error
		want    []drivers.Severity
	}{
		{[]fleet.Member{{Status: fleet.MemberAlive}, {Status: fleet.MemberFailed, Issues: true}}, nil, []drivers.Severity{levelWarning}},
		{[]fleet.Member{{Status: fleet.MemberAlive, Issues: true}}, nil, []drivers.Severity{levelOK}},
		{nil, errors.New("it does not say"), nil},
	} {
		p.members = func(context.Context) ([]fleet.Member, error) { return c.members, c.err }
		var got []drivers.Severity
		for _, f := range checkIssuers(t.Context(), p) {
			got = append(got, f.Severity)
			if f.Severity != levelOK && f.Fix == "" {
				t.Errorf("%+v says not what to do", f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("members %v: got %v, want %v", c.members, got, c.want)
		}
	}
}

func TestDoctorSaysWhetherRegistriesAreAlike(t *testing.T) {
	p := healthy(t)
	registry := func(differs int64) fleet.Member {
		return fleet.Member{Role: fleet.RoleRegistry, Status: fleet.MemberAlive, Name: "registry-2", DiffersMS: differs}
	}
	gone := registry(600_000)
	gone.Status = fleet.MemberFailed
	for _, c := range []struct {
		role    identity.Role
		members []fleet.Member
		err     error
		want    []drivers.Severity
	}{
		{identity.Registry, []fleet.Member{registry(0), registry(0)}, nil, []drivers.Severity{levelOK}},
		{identity.Registry, []fleet.Member{registry(0), registry(59_000)}, nil, []drivers.Severity{levelOK}},
		{identity.Registry, []fleet.Member{registry(0), registry(61_000), gone}, nil, []drivers.Severity{levelWarning}},
		{identity.Registry, []fleet.Member{registry(0)}, nil, nil},
		{identity.Registry, nil, errors.New("it does not say"), nil},
		{identity.Agent, []fleet.Member{registry(0), registry(61_000)}, nil, nil},
	} {
		p.role, p.members = c.role, func(context.Context) ([]fleet.Member, error) { return c.members, c.err }
		var got []drivers.Severity
		for _, f := range checkAlike(t.Context(), p) {
			got = append(got, f.Severity)
			if f.Severity != levelOK && (f.Fix == "" || f.Subject != "registry registry-2") {
				t.Errorf("%+v says not which, or what to do", f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, members %v: got %v, want %v", c.role, c.members, got, c.want)
		}
	}
}

func TestDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name  string
		ail   func(*patient)
		now   time.Time
		check string
		level drivers.Severity
		want  string
	}{
		{"no certificate", func(p *patient) { p.files.Cert = "/nowhere/agent.pem" }, time.Now(), "certificate", levelError, "does not exist"},
		{"wrong role", func(p *patient) { p.role = identity.Registry }, time.Now(), "", levelError, "is for the role agent"},
		{"wrong fleet", func(p *patient) { p.fleet = "two" }, time.Now(), "certificate", levelError, "it is of fleet one"},
		{"certificate ends soon", func(*patient) {}, time.Now().Add(729 * 24 * time.Hour), "certificate", levelWarning, "valid for"},
		{"certificate has ended", func(*patient) {}, time.Now().Add(731 * 24 * time.Hour), "certificate", levelError, "expired on"},
		{"gossip key", func(p *patient) { p.gossipKey = p.files.CA }, time.Now(), "gossip_key", levelError, ""},
		{"data folder is a file", func(p *patient) { p.dataDir = p.files.CA }, time.Now(), "data_folder", levelError, "is not a folder"},
		{"port in use", func(p *patient) { p.tcp[0].address = taken.Addr().String() }, time.Now(), "port TCP", levelError, "is in use by another program"},
		{"address of another machine", func(p *patient) { p.udp[0].address = "192.0.2.1:7946" }, time.Now(), "port UDP", levelError, ""},
		{"socket folder", func(p *patient) { p.socket = "/nowhere/agent.sock" }, time.Now(), "socket", levelWarning, ""},
		{"join nobody", func(p *patient) { p.join = nil }, time.Now(), "join", levelWarning, "starts a fleet of its own"},
		{"join the dead", func(p *patient) { p.join = []string{"127.0.0.1:1"} }, time.Now(), "join 127.0.0.1:1", levelWarning, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := healthy(t)
			c.ail(p)
			if p.role == identity.Registry {
				got := (&app{now: time.Now}).checkCertificate(p)
				if got.Severity != c.level || !strings.Contains(got.Detail, c.want) {
					t.Errorf("got %+v, want %s and %q", got, c.level, c.want)
				}
				return
			}
			code, subject, _ := strings.Cut(c.check, " ")
			got := examined(t, p, code, subject, c.now)
			if got.Severity != c.level || !strings.Contains(got.Detail, c.want) || got.Fix == "" {
				t.Errorf("got %+v, want %s, %q and a fix", got, c.level, c.want)
			}
		})
	}
}

func TestDoctorKnowsTheRunningAgentsPorts(t *testing.T) {
	p := healthy(t)
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p.tcp[0].address = taken.Addr().String()
	if got := examined(t, p, "socket", "", time.Now()); !strings.Contains(got.Detail, "an agent answers") {
		t.Errorf("got %+v", got)
	}
	if got := examined(t, p, "port", "TCP", time.Now()); got.Severity != levelOK || !strings.Contains(got.Detail, "by the one that runs") {
		t.Errorf("got %+v, want ok", got)
	}
}

func TestFindingsDecideTheExitCode(t *testing.T) {
	for _, c := range []struct {
		worst drivers.Severity
		code  int
	}{{levelOK, 0}, {levelWarning, 0}, {levelError, 1}} {
		var out strings.Builder
		a := &app{out: &out, errOut: &out, format: asTable}
		code := a.report(a.reportFindings([]finding{fine("clock", "clock", "is kept in step"), found("socket", "s", c.worst, "what", "do this")}))
		if code != c.code || !strings.Contains(out.String(), "-> do this") {
			t.Errorf("%s: got %d, want %d\n%s", c.worst, code, c.code, out.String())
		}
	}
}
