package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/test/built"
)

// Agents and registries of this tree and of the previous version are one fleet:
// all see all, creates work through either registry on either agent, what
// people decide reaches everybody. Each node is then restarted as the other
// version, and back: its journal is read, and nothing is lost or made twice.
func TestOldAndNewAreOneFleet(t *testing.T) {
	if os.Getenv("GRAPEVINE_COMPAT") == "" {
		t.Skip("the previous version takes a minute to build: run make compat")
	}
	commit, err := built.Previous("../..")
	if err != nil {
		t.Fatal(err)
	}
	old := built.Commit(t, "../..", commit)

	m := newMixed(t, old)
	m.registries[0].importTiny()
	m.creates("first")
	m.decides("first")
	m.agree("old and new")
	for _, turn := range []string{"upgraded or rolled back", "turned back again"} {
		for _, n := range m.all() {
			m.turn(n)
			m.agree(n.name + " is " + turn)
		}
		m.creates(turn)
		m.decides(turn)
		m.agree("after all are " + turn)
	}
}

// mixed is a fleet of two versions: of agents and of registries the first is
// new, the others are old, and one more agent is new.
type mixed struct {
	t                  *testing.T
	w                  *world
	old                string
	agents, registries []*node
	made, decided      []string // names of instances and of groups
}

func newMixed(t *testing.T, old string) *mixed {
	t.Helper()
	m := &mixed{t: t, w: newWorld(t), old: old}
	for i, program := range []string{"", old, old, ""} {
		name := fmt.Sprintf("sim-%d", i+1)
		n := m.w.newNode("agent", name, fmt.Sprintf("driver = \"simulated\"\nsimulated_dir = %q\nsimulated_memory_mib = 4096\n", m.w.path(name, "hypervisor")))
		n.program = program
		m.agents = append(m.agents, n)
	}
	for i, program := range []string{"", old} {
		n := m.w.newNode("registry", fmt.Sprintf("registry-%d", i+1), "")
		n.program = program
		m.registries = append(m.registries, n)
	}
	for _, n := range m.all() {
		n.start()
	}
	m.w.complete(m.all(), len(m.agents))
	return m
}

func (m *mixed) all() []*node { return append(append([]*node{}, m.agents...), m.registries...) }

// creates makes an instance on each agent through each registry.
func (m *mixed) creates(when string) {
	m.t.Helper()
	for _, r := range m.registries {
		for _, a := range m.agents {
			name := strings.ReplaceAll(fmt.Sprintf("%s-%s-%s", when, r.name, a.name), " ", "-")
			row := r.create("--name", name, "--flavor", "nano", "--image", "tiny", "--host", a.name, "--key", name)
			if row.Power != fleet.PowerRunning || row.HostName != a.name {
				m.t.Errorf("%s: made with power %q at %q", name, row.Power, row.HostName)
			}
			if again := r.create("--name", name, "--flavor", "nano", "--image", "tiny", "--host", a.name, "--key", name); again.ID != row.ID {
				m.t.Errorf("%s: the same key made %s and then %s", name, row.ID, again.ID)
			}
			m.made = append(m.made, name)
		}
	}
}

// decides makes a record through each registry.
func (m *mixed) decides(when string) {
	m.t.Helper()
	for _, r := range m.registries {
		name := strings.ReplaceAll(when+"-"+r.name, " ", "-")
		r.do("group", "create", name, "--policy", "anti-affinity")
		m.decided = append(m.decided, name)
	}
}

// turn restarts a node as the other version.
func (m *mixed) turn(n *node) {
	m.t.Helper()
	if err := n.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	<-n.Ended
	if n.program == "" {
		n.program = m.old
	} else {
		n.program = ""
	}
	n.start()
	m.w.complete(m.all(), len(m.agents))
}

// agree waits until every node lists what was made and decided, each once and
// running, and all hold the same fleet byte by byte.
func (m *mixed) agree(when string) {
	m.t.Helper()
	for _, n := range m.all() {
		m.w.until(fmt.Sprintf("%s: %s shows all", when, n.name), func() error { return m.shows(n) })
	}
	m.w.until(when+": all hold the same", func() error {
		root := m.agents[0].root()
		for _, n := range m.all() {
			if got := n.root(); got != root {
				return fmt.Errorf("%s holds %s, %s holds %s", m.agents[0].name, root, n.name, got)
			}
		}
		return nil
	})
	for _, a := range m.agents {
		machines, err := filepath.Glob(m.w.path(a.name, "hypervisor", "machines", "*"))
		if err != nil || len(machines) != len(m.made)/len(m.agents) {
			m.t.Errorf("%s: %s has %d machines, %v; want %d", when, a.name, len(machines), err, len(m.made)/len(m.agents))
		}
	}
}

func (m *mixed) shows(n *node) error {
	rows := map[string]string{}
	for _, row := range n.instances().Items {
		if rows[row.Name] != "" {
			return fatalError{fmt.Errorf("%s is there twice", row.Name)}
		}
		rows[row.Name] = string(row.Power) + " " + string(row.Reachability)
	}
	want := map[string]string{}
	for _, name := range m.made {
		want[name] = string(fleet.PowerRunning) + " " + string(fleet.ReachOK)
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		return errors.New(diff)
	}
	groups := n.do("group", "list")
	for _, name := range m.decided {
		if !strings.Contains(groups, name) {
			return fmt.Errorf("the group %s is not listed", name)
		}
	}
	return nil
}
