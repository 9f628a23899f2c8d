package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// move gives a node that does not run another address, and tells it to join
// through seed alone.
func (n *node) move(seed *node) {
	n.w.t.Helper()
	text, err := os.ReadFile(n.config)
	if err != nil {
		n.w.t.Fatal(err)
	}
	was := n.ip
	if n != seed {
		n.w.nodes++
		n.ip = fmt.Sprintf("%s.%d", n.w.subnet, n.w.nodes)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "join = "):
			lines[i] = fmt.Sprintf("join = [%q]", seed.ip+":7946")
		case strings.HasPrefix(line, "listen = "), strings.HasPrefix(line, "gossip_bind = "):
			lines[i] = strings.Replace(line, was+":", n.ip+":", 1)
		}
	}
	if err := os.WriteFile(n.config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		n.w.t.Fatal(err)
	}
}

// TestProof19EverythingKilledAndMovedComesBackTheSame kills every agent and
// every registry at once, gives all but one other addresses, and starts them in
// random order with that one's address as the only seed.
func TestProof19EverythingKilledAndMovedComesBackTheSame(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	registries[0].importTiny()
	for i := range 6 {
		registries[i%2].create("--name", fmt.Sprintf("web-%d", i), "--flavor", "nano", "--image", "tiny")
	}
	before := inventory(registries[1].instances())
	all := append(slices.Clone(agents), registries...)
	for _, n := range all {
		n.kill()
	}
	seed := agents[0]
	for _, n := range all {
		n.move(seed)
	}
	seed.start()
	rest := all[1:]
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	for _, n := range rest {
		n.start()
		list := n.instances()
		if c := list.Coverage; c.Heard > c.Known || c.Known > len(agents) {
			t.Errorf("%s says that it hears %d of %d hosts, and there are %d", n.name, c.Heard, c.Known, len(agents))
		}
		if rows := inventory(list); list.Coverage.Heard == len(agents) && !cmp.Equal(rows, before) {
			t.Errorf("%s hears all hosts and lists (-before +after):\n%s", n.name, cmp.Diff(before, rows))
		}
	}
	w.complete(all, len(agents))
	for _, n := range all {
		if diff := cmp.Diff(before, inventory(n.instances())); diff != "" {
			t.Errorf("at %s (-before +after):\n%s", n.name, diff)
		}
	}
}

// inventory is what must be the same however often everything is restarted.
func inventory(list fleet.List[fleet.Instance]) []string {
	rows := make([]string, 0, len(list.Items))
	for i := range list.Items {
		row := &list.Items[i]
		rows = append(rows, fmt.Sprint(row.ID, row.Name, row.Host, row.Power, row.Task, row.Generation, row.VCPUs, row.MemoryMiB))
	}
	slices.Sort(rows)
	return rows
}
