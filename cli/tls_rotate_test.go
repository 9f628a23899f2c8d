package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
)

// trusting is a node that follows lists of roots as nodes do.
type trusting struct {
	*httptest.Server
	own  *identity.Identity
	desk *enrol.Desk
	away string // name of a node that cannot be asked, and has a certificate of root
	root string
}

// turning returns a fleet of one node that holds an intermediate, and the folder
// of its root.
func turning(t *testing.T) (*trusting, string) {
	t.Helper()
	dir := t.TempDir()
	runNow(t, nil, "tls", "init", "--dir", dir, "--fleet", "one").wants(t, 0, "", "")
	root, err := identity.LoadCA(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := root.Issue(identity.Subject{Role: identity.Registry, ID: id(7), Name: "registry-1"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n := &trusting{}
	if n.own, err = identity.New(root.CertPEM(), pair, time.Now()); err != nil {
		t.Fatal(err)
	}
	below, err := root.NewIntermediate("registry-1", 24*time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n.desk = enrol.New(enrol.Config{Credentials: identity.Credentials{Identity: n.own, CA: below}})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/trust", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(n.report()) })
	mux.HandleFunc("POST /v1/trust", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var ask fleet.ChangeTrust
		_ = json.Unmarshal(body, &ask)
		if err := enrol.CheckChange(n.own, &ask, func() (fleet.TrustReport, error) { return n.report(), nil }); err != nil {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(map[string]any{"code": fleet.CodeOf(err), "detail": err.Error(), "status": http.StatusConflict})
			return
		}
		if _, err := n.own.Follow(identity.Files{}, []byte(ask.Trust)); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(fleet.Decided{Record: fleet.Record{Kind: fleet.TrustRoots, Why: ask.Reason}, Holders: []fleet.HostID{id(1), id(2)}})
	})
	n.Server = httptest.NewServer(mux)
	t.Cleanup(n.Close)
	return n, dir
}

func (n *trusting) report() fleet.TrustReport {
	report := n.desk.Trusting()
	if n.away != "" {
		report.Nodes = append(report.Nodes, fleet.TrustNode{ID: id(9), Name: n.away, Role: fleet.RoleAgent, Root: n.root, Error: "it is unreachable"})
	}
	return report
}

// renew gives the node a certificate of the root that tls issue uses.
func (n *trusting) renew(t *testing.T, dir string) {
	t.Helper()
	root, err := loadRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := root.Issue(identity.Subject{Role: identity.Registry, ID: id(7), Name: "registry-1"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.own.Renew(identity.Files{}, pair, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestRootIsRotatedStepByStepAndEachMayBeGivenAgain(t *testing.T) {
	n, dir := turning(t)
	old := identity.RootName(n.own.Root())
	env := map[string]string{"GRAPEVINE_ADDR": n.URL}
	step := func(name string, more ...string) result {
		return runNow(t, env, append([]string{"tls", "rotate", name, "--dir", dir}, more...)...)
	}
	runNow(t, env, "tls", "rotate", "begin").wants(t, 2, "", "--dir is missing")
	step("finish", "--force").wants(t, 2, "", "--reason is missing")
	for _, early := range []string{"renew", "finish", "undo"} {
		step(early).wants(t, 1, "", "no rotation of the root is under way")
	}
	step("begin").wants(t, 0, "list 1 of the fleet's roots is held by 2 agents: certificates are to be of root "+old[:12], "")
	step("begin").wants(t, 0, "list 1 of", "") // again
	step("finish").wants(t, 1, "", "certificates are still to be of the old root")
	step("undo").wants(t, 0, "list 2 of", "")
	if len(n.own.Roots()) != 1 || identity.RootName(n.own.Root()) != old {
		t.Errorf("undone, %d roots are trusted", len(n.own.Roots()))
	}
	step("begin").wants(t, 0, "list 3 of", "")
	runNow(t, env, "tls", "issue", "--dir", dir, "--role", "operator", "--name", "me", "--out", dir+"/early").wants(t, 0, "", "")
	step("renew").wants(t, 0, "list 4 of", "")
	step("renew").wants(t, 0, "list 4 of", "")
	if !n.own.Outdated() {
		t.Fatal("the node is content with its certificate")
	}
	if row := n.desk.Trusting().Nodes[0]; row.IssuerRoot == old || row.IssuerRoot == "" {
		t.Errorf("its CA is of root %q", row.IssuerRoot)
	}
	runNow(t, env, "tls", "rotate", "status").wants(t, 0, "registry-1", "has to wait for 1 node: registry registry-1 has a certificate of root "+old[:12])
	step("finish").wants(t, 1, "", "registry registry-1 has a certificate of root "+old[:12])
	n.renew(t, dir)
	early := map[string]string{"GRAPEVINE_ADDR": n.URL, "GRAPEVINE_CERT": dir + "/early/operator.pem", "GRAPEVINE_KEY": dir + "/early/operator-key.pem", "GRAPEVINE_CACERT": dir + "/early/ca.pem"}
	runNow(t, early, "tls", "rotate", "finish", "--dir", dir).wants(t, 1, "", "your own certificate")
	n.away, n.root = "kvm-9", old
	step("finish").wants(t, 1, "", "agent kvm-9 cannot be asked")
	step("finish", "--force", "--reason", "burnt").wants(t, 0, "list 5 of", "")
	step("finish").wants(t, 1, "", "no rotation of the root is under way")
	if roots := n.own.Roots(); len(roots) != 1 || identity.RootName(roots[0]) == old {
		t.Errorf("at the end %d roots are trusted", len(roots))
	}
	for file, want := range map[string]bool{caFile: true, caKeyFile: true, oldCAFile: true, oldCAKeyFile: true, nextCAFile: false, nextCAKeyFile: false} {
		if _, err := os.Stat(filepath.Join(dir, file)); (err == nil) != want {
			t.Errorf("%s is there: %v", file, err == nil)
		}
	}
	// The folder is as tls init left it, of the new root, and serves the next rotation.
	runNow(t, env, "tls", "intermediate", "--dir", dir, "--name", "x", "--out", dir+"/x").wants(t, 0, "", "")
	n.away = ""
	step("begin").wants(t, 0, "list 6 of", "")
	step("renew", "-o", "json").wants(t, 0, `"number": 7`, "")
	step("undo").wants(t, 0, "list 8 of", "")
	step("undo").wants(t, 0, "list 9 of", "")
}

func TestRotationIsRefusedFromAnotherFolder(t *testing.T) {
	n, _ := turning(t)
	_, other := turning(t)
	env := map[string]string{"GRAPEVINE_ADDR": n.URL}
	runNow(t, env, "tls", "rotate", "begin", "--dir", other).wants(t, 1, "", "has the key of no root that fleet one trusts")
	runNow(t, env, "tls", "rotate", "begin", "--dir", t.TempDir()).wants(t, 1, "", "no such file")
	if _, err := os.Stat(filepath.Join(other, nextCAFile)); err == nil {
		t.Error("a root was made for nothing")
	}
	if got := runNow(t, env, "tls", "rotate", "status", "-o", "json"); got.code != 0 || !strings.Contains(got.out, `"issuer_root"`) {
		t.Errorf("got %v", got)
	}
}
