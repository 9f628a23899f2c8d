package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// fleetOfThree is three agents on simulated hosts and two registries.
func fleetOfThree(t *testing.T) (w *world, agents, registries []*node) {
	t.Helper()
	w = newWorld(t)
	for i := range 3 {
		agents = append(agents, w.agent(fmt.Sprintf("sim-%d", i+1), 4096, ""))
	}
	registries = []*node{w.registry("registry-1"), w.registry("registry-2")}
	w.complete(append(slices.Clone(agents), registries...), 3)
	return w, agents, registries
}

// root returns the hash over all that the node holds.
func (n *node) root() string {
	n.w.t.Helper()
	return decode[fleet.Digest](n.w.t, n.do("mesh", "digest", "-o", "json")).Root
}

// Without any registry every agent answers for the fleet, and a registry that
// starts from nothing shows the same inventory.
func TestProof14RegistriesKilledAndBegunAnewShowTheSame(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	registries[0].importTiny()
	for i := range 4 {
		registries[i%2].create("--name", fmt.Sprintf("web-%d", i), "--flavor", "nano", "--image", "tiny")
	}
	before := registries[0].root()
	names := instanceNames(registries[0].instances())

	for _, r := range registries {
		r.kill()
	}
	for _, a := range agents {
		list := a.instances()
		if diff := cmp.Diff(names, instanceNames(list)); diff != "" {
			t.Errorf("at %s (-before the kill +after):\n%s", a.name, diff)
		}
		if list.Coverage != (fleet.Coverage{Heard: 3, Known: 3}) {
			t.Errorf("at %s the coverage is %+v, want all 3 hosts", a.name, list.Coverage)
		}
	}
	fresh := w.registry("registry-3")
	w.until("the new registry holds the same fleet", func() error {
		if got := fresh.root(); got != before {
			return fmt.Errorf("its root is %s, want %s", got, before)
		}
		return nil
	})
	if diff := cmp.Diff(names, instanceNames(fresh.instances())); diff != "" {
		t.Errorf("at the new registry (-before +after):\n%s", diff)
	}
}

func instanceNames(list fleet.List[fleet.Instance]) []string {
	var names []string
	for _, row := range list.Items {
		names = append(names, row.Name+" "+row.ID.String()+" "+string(row.Power))
	}
	slices.Sort(names)
	return names
}

// An agent killed between the promise and the build, and in the middle of the
// build, leaves one machine that is counted once.
func TestAgentKilledAfterItsPromiseKeepsIt(t *testing.T) {
	for _, c := range []struct {
		name string
		when func(hypervisor string) bool
	}{
		{"before the build has made anything", func(string) bool { return true }},
		{"in the middle of the build", func(hypervisor string) bool {
			disks, _ := filepath.Glob(filepath.Join(hypervisor, "disks", "*.json"))
			return len(disks) > 0
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.agent("sim-1", 4096, "simulated_build_step = \"1s\"\n")
			other := w.agent("sim-2", 64, "")
			registries := []*node{w.registry("registry-1"), w.registry("registry-2")}
			w.complete([]*node{a, other, registries[0], registries[1]}, 2)
			registries[0].importTiny()

			out := registries[0].do("instance", "create", "-o", "json", "--name", "web", "--flavor", "tiny", "--image", "tiny", "--key", "k")
			id := firstInstance(t, out).ID
			w.until("the moment to kill the agent has come", func() error {
				if !c.when(w.path("sim-1", "hypervisor")) {
					return errors.New("not yet")
				}
				return nil
			})
			a.kill()
			if row, ok := registries[1].instance(id); !ok || row.Power == fleet.PowerRunning {
				t.Fatalf("the agent was killed too late, or its promise is not shown: %+v", row)
			}
			a.start()
			w.seen("it running", id, []*node{registries[1], other}, has(fleet.PowerRunning))
			rows := registries[1].instances().Items
			if len(rows) != 1 {
				t.Errorf("got %d instances, want 1", len(rows))
			}
			if got := hostNamed(t, registries[1], "sim-1").Capacity.MemoryMiB.Allocated; got != 512 {
				t.Errorf("got %d MiB allocated, want 512", got)
			}
		})
	}
}

// One key is one machine, whoever is asked and however often.
func TestSameCreateAtTwoRegistriesAtOnceIsOneMachine(t *testing.T) {
	w, _, registries := fleetOfThree(t)
	registries[0].importTiny()
	w.until("both registries know the image", func() error {
		if !strings.Contains(registries[1].do("image", "list"), "tiny") {
			return errors.New("the second does not")
		}
		return nil
	})
	const body = `{"name": "web", "flavor": "nano", "image": "tiny"}`
	for round := range 5 {
		key := fmt.Sprintf("key-%d", round)
		var wg sync.WaitGroup
		answers := make([]string, 8)
		for i := range answers {
			wg.Go(func() { answers[i] = registries[i%2].post("/v1/instances?wait=60s", body, "Idempotency-Key: "+key) })
		}
		wg.Wait()
		ids := map[string]bool{}
		for _, answer := range answers {
			var accepted fleet.Accepted
			if err := json.Unmarshal([]byte(answer), &accepted); err != nil || accepted.Instance.ID.IsZero() {
				t.Errorf("a create was answered with %s", answer)
				continue
			}
			ids[accepted.Instance.ID.String()] = true
		}
		if len(ids) != 1 {
			t.Errorf("got ids %v, want one", ids)
		}
	}
	if rows := registries[0].instances().Items; len(rows) != 5 {
		t.Errorf("got %d instances, want 5", len(rows))
	}
	other := strings.Replace(body, "nano", "tiny", 1)
	if status := registries[1].status("POST", "/v1/instances", other, "Idempotency-Key: key-0"); status != "422" {
		t.Errorf("another body under the same key: got status %s, want 422", status)
	}
}

// post sends a body as any HTTP client does, and returns the answer.
func (n *node) post(path, body string, headers ...string) string {
	args := n.curl()
	for _, h := range append(headers, "Content-Type: application/json") {
		args = append(args, "--header", h)
	}
	out, _ := exec.Command("curl", append(args, "--data-binary", body, n.addr()+path)...).CombinedOutput()
	return string(out)
}

// status returns the status of a request.
func (n *node) status(method, path, body string, headers ...string) string {
	args := append(n.curl(), "--request", method, "--output", "/dev/null", "--write-out", "%{http_code}")
	for _, h := range append(headers, "Content-Type: application/json") {
		args = append(args, "--header", h)
	}
	out, _ := exec.Command("curl", append(args, "--data-binary", body, n.addr()+path)...).Output()
	return string(out)
}

// A full fleet says of each host what it lacked.
func TestFullFleetSaysWhatEachHostLacked(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	registries[0].importTiny()
	registries[0].do("host", "cordon", "sim-3")
	w.until("the cordon is seen", func() error {
		if hostNamed(t, registries[1], "sim-3").State != fleet.HostCordoned {
			return errors.New("it is not")
		}
		return nil
	})
	registries[1].create("--name", "big-1", "--flavor", "small", "--image", "tiny", "--host", "sim-1")
	registries[1].create("--name", "big-2", "--flavor", "small", "--image", "tiny", "--host", "sim-1")
	_, stderr, code := registries[0].cli("instance", "create", "--name", "large", "--flavor", "large", "--image", "tiny")
	if code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	for _, want := range []string{
		"sim-1", "8192 MiB of memory asked, 0 free",
		"sim-2", "8192 MiB of memory asked, 4096 free",
		"sim-3", "cordoned",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the refusal does not say %q:\n%s", want, stderr)
		}
	}
	explained := agents[1].do("placement", "explain", "--flavor", "small", "--image", "tiny")
	if !strings.Contains(explained, "sim-2") || !strings.Contains(explained, "cordoned") {
		t.Errorf("placement explain says:\n%s", explained)
	}
}
