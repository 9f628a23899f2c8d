package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"grapevine/fleet"
)

// Two of five witnesses may be killed: what is created under a key goes on, and
// the same key is the same machine. With a third nothing is made, until one is
// back.
func TestWitnessesKilledOneAfterTheOtherDecideWhileThreeAreLeft(t *testing.T) {
	w := newWorld(t)
	keeper := w.agent("keeper", 4096, "") // the machines are here, and nobody kills it
	var witnesses []*node
	for i := range 5 {
		witnesses = append(witnesses, w.agent(fmt.Sprintf("sim-%d", i+1), 512, ""))
	}
	registries := []*node{w.registry("registry-1"), w.registry("registry-2")}
	w.complete(slices.Concat([]*node{keeper}, witnesses, registries), 6)
	registries[0].importTiny()

	registries[0].do("witness", "set", "sim-1", "sim-2", "sim-3", "sim-4", "sim-5")
	w.until("every witness grants, and no home keeps keys any more", func() error {
		r := decode[fleet.WitnessReport](t, registries[1].do("witness", "list", "-o", "json"))
		if n := slices.IndexFunc(r.Members, func(m fleet.WitnessRow) bool { return !m.Ready }); n >= 0 || len(r.Members) != 5 || len(r.Waiting) > 0 {
			return fmt.Errorf("it says %+v", r)
		}
		return nil
	})
	ask := func(at *node, name string) fleet.Instance {
		t.Helper()
		return at.create("--name", name, "--flavor", "nano", "--image", "tiny", "--host", "keeper", "--key", name)
	}
	first := ask(registries[0], "first")

	witnesses[0].kill()
	witnesses[1].kill()
	if again := ask(registries[1], "first"); again.ID != first.ID {
		t.Errorf("with two witnesses killed the same key is %s, and was %s", again.ID, first.ID)
	}
	second := ask(registries[1], "second")
	if again := ask(registries[0], "second"); again.ID != second.ID || second.ID == first.ID {
		t.Errorf("the second key is %s and then %s, the first one %s", second.ID, again.ID, first.ID)
	}

	witnesses[2].kill()
	for _, r := range registries {
		_, problem, code := r.cli("instance", "create", "--name", "third", "--flavor", "nano", "--image", "tiny", "--host", "keeper", "--key", "third")
		if code != 1 || !strings.Contains(problem, string(fleet.CodeNoWitnesses)) && !strings.Contains(problem, "witnesses") {
			t.Errorf("%s, with three witnesses killed: exit code %d, %s", r.name, code, problem)
		}
	}
	if list := keeper.instances(); len(list.Items) != 2 {
		t.Errorf("%d instances with three witnesses killed, want the two from before", len(list.Items))
	}

	witnesses[2].start()
	w.until("a key is granted again", func() error {
		_, problem, code := registries[0].cli("instance", "create", "--name", "third", "--flavor", "nano", "--image", "tiny", "--host", "keeper", "--key", "third", "--wait", "60s")
		if code != 0 {
			return errors.New(problem)
		}
		return nil
	})
	if again := ask(registries[1], "first"); again.ID != first.ID {
		t.Errorf("at the end the first key is %s, and was %s", again.ID, first.ID)
	}
	if list := keeper.instances(); len(list.Items) != 3 {
		t.Errorf("%d instances at the end, want 3", len(list.Items))
	}
}
