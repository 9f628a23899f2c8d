package cli

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

func TestWithNothingSetTheAgentsSocketStandsIn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	n.answer("GET /v1/flavors", http.StatusOK, fleet.List[fleet.Flavor]{Items: fleet.BuiltinFlavors()})
	server := &http.Server{Handler: n.Config.Handler}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })

	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(""), out: &out, errOut: &errOut, now: time.Now, format: asTable,
		lookup: func(string) (string, bool) { return "", false }, defaultAddr: "http://127.0.0.1:1", localSocket: socket,
	}
	result{a.main(t.Context(), []string{"flavor", "list"}), out.String(), errOut.String()}.
		wants(t, 0, "nano", "grapevine: no registry listens on 127.0.0.1:1; asking the agent at unix://"+socket+"\n")
}

func TestNobodyThereIsOneSentence(t *testing.T) {
	runWith(t, nil, "host", "list").wants(t, 1, "", "grapevine: cannot reach http://127.0.0.1:1: nothing listens there; start a registry or an agent, or give another address\n")
	run(t, "localhost:7948", "host", "list").wants(t, 1, "", "is not of the form http://host:port")
}

func TestFlagOutranksTheVariable(t *testing.T) {
	n := fleetNode(t)
	run(t, "http://127.0.0.1:1", "host", "list", "--addr", n.URL).wants(t, 0, "kvm-1", "")
}

func TestTLSWantsTheFleetsCA(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"tls", "init", "--dir", dir + "/ca", "--fleet", "one"},
		{"tls", "issue", "--dir", dir + "/ca", "--role", "registry", "--name", "r1", "--out", dir + "/r"},
		{"tls", "issue", "--dir", dir + "/ca", "--role", "operator", "--name", "me", "--out", dir + "/me"},
		{"tls", "init", "--dir", dir + "/other", "--fleet", "two"},
	} {
		runNow(t, nil, args...).wants(t, 0, "", "")
	}
	server, err := identity.Load(identity.Files{CA: dir + "/r/ca.pem", Cert: dir + "/r/registry.pem", Key: dir + "/r/registry-key.pem"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	roles := make(chan identity.Role, 1)
	n.mux.HandleFunc("GET /v1/flavors", func(w http.ResponseWriter, r *http.Request) {
		subject, err := identity.PeerOf(*r.TLS)
		if err != nil {
			t.Error(err)
		}
		roles <- subject.Role
		reply(w, http.StatusOK, fleet.List[fleet.Flavor]{Items: fleet.BuiltinFlavors()})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := &http.Server{Handler: n.Config.Handler, TLSConfig: server.ServerTLS("http/1.1"), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() { defer close(done); secure.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { secure.Close(); <-done })

	env := map[string]string{
		"GRAPEVINE_ADDR": "https://" + listener.Addr().String(), "GRAPEVINE_CACERT": dir + "/me/ca.pem",
		"GRAPEVINE_CERT": dir + "/me/operator.pem", "GRAPEVINE_KEY": dir + "/me/operator-key.pem",
	}
	runNow(t, env, "flavor", "list").wants(t, 0, "nano", "")
	if role := <-roles; role != identity.Operator {
		t.Errorf("the node saw a %q, want an operator", role)
	}
	runNow(t, map[string]string{"GRAPEVINE_ADDR": env["GRAPEVINE_ADDR"], "GRAPEVINE_CACERT": dir + "/other/ca.pem"}, "flavor", "list").
		wants(t, 1, "", "its certificate is of another CA; give the fleet's CA certificate")
}

// runNow runs the command line by the real clock, as certificates need.
func runNow(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(""), out: &out, errOut: &errOut, now: time.Now, format: asTable,
		lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok }, defaultAddr: "http://127.0.0.1:1",
	}
	return result{a.main(t.Context(), args), out.String(), errOut.String()}
}
