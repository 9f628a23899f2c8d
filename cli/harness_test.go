package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// today is when the tests run, as far as the command line can tell.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// result is what a run of the command line left.
type result struct {
	code     int
	out, err string
}

// run runs the command line against a node at addr.
func run(t *testing.T, addr string, args ...string) result {
	t.Helper()
	return runWith(t, map[string]string{"GRAPEVINE_ADDR": addr}, args...)
}

func runWith(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(""), out: &out, errOut: &errOut, now: func() time.Time { return today },
		lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		format: asTable, defaultAddr: "http://127.0.0.1:1", localSocket: filepath.Join(t.TempDir(), "agent.sock"),
	}
	code := a.main(t.Context(), args)
	return result{code, out.String(), errOut.String()}
}

// wants fails when the run did not end so; the texts must occur.
func (r result) wants(t *testing.T, code int, out, errOut string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, errOut) {
		t.Errorf("got exit code %d\nstdout: %s\nstderr: %s\nwant exit code %d, %q on stdout, %q on stderr", r.code, r.out, r.err, code, out, errOut)
	}
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), rewrite with go test ./cli -update\n%s", path, diff)
	}
}

// node is a small node: it answers what it was told to, and remembers what it
// was asked.
type node struct {
	*httptest.Server
	mux *http.ServeMux

	mu    sync.Mutex
	asked []asked // guarded by mu
}

type asked struct {
	Method, URI, Key string
	Body             string
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{mux: http.NewServeMux()}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		n.mu.Lock()
		n.asked = append(n.asked, asked{r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), strings.TrimSpace(string(body))})
		n.mu.Unlock()
		n.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(n.Close)
	return n
}

// requests returns what was asked with this method.
func (n *node) requests(method string) []asked {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []asked
	for _, a := range n.asked {
		if a.Method == method {
			out = append(out, a)
		}
	}
	return out
}

func (n *node) answer(pattern string, status int, value any) {
	n.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { reply(w, status, value) })
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func id(n int) fleet.UUID {
	u, err := fleet.ParseUUID(fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n))
	if err != nil {
		panic(err)
	}
	return u
}

// theHosts are three hosts: one well, one cordoned and overfull, one not heard.
func theHosts() fleet.List[fleet.Host] {
	since := today.Add(-3 * time.Minute)
	host := func(n int, name string, kind fleet.Hypervisor) fleet.Host {
		return fleet.Host{
			ID: id(n), Name: name, Zone: "north", Hypervisor: kind, HypervisorVersion: "8.2", State: fleet.HostOK, Reachability: fleet.ReachOK,
			Capacity: fleet.NewCapacity(fleet.Resources{VCPUs: 32, MemoryMiB: 65536, DiskGiB: 500}, fleet.Resources{MemoryMiB: 512}, fleet.Resources{VCPUs: 4, MemoryMiB: 8192, DiskGiB: 40}),
			Traits:   []string{"boot-kernel", "pause"}, Images: []string{}, Instances: 3, API: name + ":7947", AgentVersion: "v0.1.0",
			Version: fleet.Version{Host: id(n), Epoch: 2, Seq: 17}, ObservedAt: today, AgeMS: 1200,
		}
	}
	first, second, third := host(0xa1, "kvm-1", fleet.KVM), host(0xb2, "xen-1", fleet.Xen), host(0xc3, "esxi-1", fleet.ESXi)
	first.Labels = map[string]string{"tier": "gold", "rack": "r12"}
	second.State = fleet.HostCordoned
	second.Capacity = fleet.NewCapacity(fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 10}, fleet.Resources{}, fleet.Resources{VCPUs: 10, MemoryMiB: 5632})
	third.Reachability, third.ReachabilitySince, third.AgeMS = fleet.ReachUnreachable, &since, 180_000
	return fleet.List[fleet.Host]{Items: []fleet.Host{first, second, third}, Coverage: fleet.Coverage{Heard: 2, Known: 3}}
}

// theInstances are a managed one, a foreign one with a hostile name, and one on
// a host that is not heard.
func theInstances() fleet.List[fleet.Instance] {
	since := today.Add(-3 * time.Minute)
	row := func(n int, name string, host int, hostName string) fleet.Instance {
		return fleet.Instance{
			ID: id(n), Name: name, Project: "default", Host: id(host), HostName: hostName, Hypervisor: fleet.KVM, Ownership: fleet.Managed,
			Power: fleet.PowerRunning, Flavor: "small", Image: strings.Repeat("ab", 32), VCPUs: 1, MemoryMiB: 2048, DiskGiB: 10,
			Addresses: []string{"192.0.2.7"}, CreatedAt: today.Add(-time.Hour), Labels: map[string]string{"tier": "web", "app": "shop"},
			Version: fleet.Version{Host: id(host), Epoch: 2, Seq: 9}, ObservedAt: today, AgeMS: 300, Reachability: fleet.ReachOK,
		}
	}
	web, foreign, lost := row(0x11111111, "web", 0xa1, "kvm-1"), row(0x22222222, "old\x1b[2Jname", 0xa1, "kvm-1"), row(0x22223333, "db", 0xc3, "esxi-1")
	foreign.Ownership, foreign.Power, foreign.Flavor, foreign.Addresses, foreign.Labels = fleet.Foreign, fleet.PowerStopped, "", nil, nil
	lost.Reachability, lost.ReachabilitySince, lost.AgeMS, lost.Task = fleet.ReachUnreachable, &since, 180_000, fleet.TaskStopping
	return fleet.List[fleet.Instance]{Items: []fleet.Instance{web, foreign, lost}, Coverage: fleet.Coverage{Heard: 2, Known: 3}}
}

// fleetNode is a node that knows theHosts and theInstances.
func fleetNode(t *testing.T) *node {
	t.Helper()
	n := newNode(t)
	n.answer("GET /v1/hosts", http.StatusOK, theHosts())
	n.mux.HandleFunc("GET /v1/hosts/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, h := range theHosts().Items {
			if h.ID.String() == r.PathValue("id") {
				reply(w, http.StatusOK, h)
				return
			}
		}
		reply(w, http.StatusNotFound, map[string]string{"code": "not_found", "detail": "no host has this id"})
	})
	n.mux.HandleFunc("GET /v1/instances", func(w http.ResponseWriter, r *http.Request) {
		list := theInstances()
		if name := r.URL.Query().Get("name"); name != "" {
			var items []fleet.Instance
			for _, row := range list.Items {
				if row.Name == name {
					items = append(items, row)
				}
			}
			list.Items = items
		}
		reply(w, http.StatusOK, list)
	})
	n.mux.HandleFunc("GET /v1/instances/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, row := range theInstances().Items {
			if row.ID.String() == r.PathValue("id") {
				reply(w, http.StatusOK, row)
				return
			}
		}
		reply(w, http.StatusNotFound, map[string]string{"code": "not_found", "detail": "no instance has this id"})
	})
	return n
}

// mustList returns the names in a folder.
func mustList(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
