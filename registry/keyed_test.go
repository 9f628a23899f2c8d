package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/fleet"
)

func TestSameKeyAndBodyIsTheSameMachineAtEveryRegistry(t *testing.T) {
	w := newWorld(t, 4)
	one, _ := w.registry()
	two, _ := w.registry()
	first, err := one.CreateInstance(t.Context(), create("vm", "k"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*core{one, two, two} {
		again, err := c.CreateInstance(t.Context(), create("vm", "k"))
		if err != nil || again.Instance.ID != first.Instance.ID || again.Instance.Host != first.Instance.Host {
			t.Errorf("again: %s on %s, %v; want %s on %s", again.Instance.ID, again.Instance.HostName, err, first.Instance.ID, first.Instance.HostName)
		}
	}
	if on := w.machines(first.Instance.ID); len(on) != 1 {
		t.Errorf("machines on %v, want one", on)
	}
	_, err = two.CreateInstance(t.Context(), create("other", "k"))
	if e := wantCode(t, err, fleet.CodeKeyReused); e.Instance != first.Instance.ID {
		t.Errorf("the error is about %s, want %s", e.Instance, first.Instance.ID)
	}
}

func TestKeyAnswersThoughTheFleetIsFullNow(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	first, err := c.CreateInstance(t.Context(), create("vm", "k"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.agents {
		full := a.row
		full.Capacity = fleet.Capacity{}
		n.publish(full)
	}
	again, err := c.CreateInstance(t.Context(), create("vm", "k"))
	if err != nil || again.Instance.Host != first.Instance.Host {
		t.Errorf("again: %s, %v; want %s as before", again.Instance.HostName, err, first.Instance.HostName)
	}
	_, err = c.CreateInstance(t.Context(), create("vm", "k2"))
	wantCode(t, err, fleet.CodeRefused)
}

func TestNothingIsProposedWhileTheKeysHomeIsUnreachable(t *testing.T) {
	for _, test := range []struct {
		name string
		fell func(context.Context, *world, *news)
	}{
		{"and the mesh knows", func(_ context.Context, w *world, n *news) { n.status(w.agents[0].row.ID, fleet.MemberFailed) }},
		{"and nobody has noticed", func(_ context.Context, w *world, _ *news) { _ = w.agents[0].server.Close() }},
		{"since it stores and does not answer", func(ctx context.Context, w *world, _ *news) {
			w.agents[0].afterKey = func(fleet.KeyAnswer) { <-ctx.Done() }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 3)
			c, n := w.registry()
			c.timeout = impatient
			key := w.keyAt(0)
			test.fell(t.Context(), w, n)
			_, err := c.CreateInstance(t.Context(), create("vm", key))
			e := wantCode(t, err, fleet.CodeKeyHomeUnreachable)
			if on := w.machines(e.Instance); len(on) != 0 {
				t.Errorf("machines on %v, want none", on)
			}
			for _, a := range w.agents {
				if asked := a.proposals(); asked != 0 {
					t.Errorf("%s was asked %d times, want none", a.row.Name, asked)
				}
			}
		})
	}
}

func TestKeyMovesToTheNextHostOnlyAfterARefusal(t *testing.T) {
	w := newWorld(t, 2)
	key := w.keyAt(0)
	id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
	w.agents[0].set(func(a *fakeAgent) { a.slots = 0 })
	for w.agents[0].keys[id].Attempt < 2 { // until the full host was the first choice
		w.agents[0].set(func(a *fakeAgent) { delete(a.keys, id) })
		w.agents[1].set(func(a *fakeAgent) { delete(a.claims, id) })
		c, _ := w.registry()
		accepted, err := c.CreateInstance(t.Context(), create("vm", key))
		if err != nil || accepted.Instance.HostName != "hostb" {
			t.Fatalf("accepted by %q, %v; want hostb", accepted.Instance.HostName, err)
		}
	}
	record, _ := w.agents[0].Key(t.Context(), id)
	if record.Host != w.agents[1].row.ID || record.Attempt != 2 {
		t.Errorf("home holds %+v; want hostb at attempt 2", record)
	}
}

func TestTimeOutKeepsTheKeyAtItsHostAndARetryEndsIt(t *testing.T) {
	w := newWorld(t, 3)
	one, _ := w.registry()
	two, _ := w.registry()
	one.timeout = impatient
	for _, a := range w.agents {
		a.set(func(a *fakeAgent) { a.afterClaim = hang(t) })
	}
	_, err := one.CreateInstance(t.Context(), create("vm", "k"))
	e := wantCode(t, err, fleet.CodeOutcomeUnknown)
	for _, a := range w.agents {
		a.set(func(a *fakeAgent) { a.afterClaim = nil })
	}
	accepted, err := two.CreateInstance(t.Context(), create("vm", "k"))
	if err != nil {
		t.Fatal(err)
	}
	if on := w.machines(e.Instance); len(on) != 1 || accepted.Instance.ID != e.Instance || accepted.Instance.HostName != on[0] {
		t.Errorf("retry gave %s on %s; machines on %v", accepted.Instance.ID, accepted.Instance.HostName, on)
	}
}

func TestLateProposalFailsAfterTheKeyHasMoved(t *testing.T) {
	w := newWorld(t, 2)
	one, _ := w.registry()
	key := w.keyAt(0)
	one.timeout = impatient
	// The first proposal is held up on its way into whichever host gets it.
	late, arrived := make(chan struct{}), make(chan *fakeAgent, 1)
	done := make(chan fleet.Proposal, 1)
	for _, a := range w.agents {
		a.set(func(agent *fakeAgent) {
			agent.beforeClaim = func(_ context.Context, p fleet.Proposal) {
				select {
				case arrived <- a:
					<-late
					defer func() { done <- p }()
				default:
				}
			}
		})
	}
	_, err := one.CreateInstance(t.Context(), create("vm", key))
	e := wantCode(t, err, fleet.CodeOutcomeUnknown)
	held := <-arrived
	for _, a := range w.agents {
		a.set(func(a *fakeAgent) { a.beforeClaim = nil })
	}
	// A retry finds that host full, and is refused there for good.
	held.set(func(a *fakeAgent) { a.slots = 0 })
	two, _ := w.registry()
	accepted, err := two.CreateInstance(t.Context(), create("vm", key))
	if err != nil || accepted.Instance.Host == held.row.ID {
		t.Fatalf("retry: on %s, %v; want the other host", accepted.Instance.HostName, err)
	}
	// Then there is room again, and the first proposal comes through.
	held.set(func(a *fakeAgent) { a.slots = 1 })
	close(late)
	<-done
	waitAsked(t, held, 2)
	if on := w.machines(e.Instance); len(on) != 1 || on[0] != accepted.Instance.HostName {
		t.Errorf("machines on %v, want only %s", on, accepted.Instance.HostName)
	}
}

// waitAsked waits until the agent has judged this many proposals.
func waitAsked(t *testing.T, a *fakeAgent, want int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if asked := a.proposals(); asked >= want {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s did not judge %d proposals", a.row.Name, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// misled returns a registry that has a wrong address for the agent, which it
// so cannot reach.
func (w *world) misled(a *fakeAgent) *core {
	c, n := w.registry()
	row := a.row
	row.API = "127.0.0.1:1"
	n.publish(row)
	return c
}

func TestUnsentProposalOfItsOwnMovesTheKey(t *testing.T) {
	w := newWorld(t, 2)
	key := w.keyAt(1)
	id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
	for moved := false; !moved; { // until the unreachable host was the first choice
		w.agents[1].set(func(a *fakeAgent) { delete(a.keys, id); delete(a.claims, id) })
		accepted, err := w.misled(w.agents[0]).CreateInstance(t.Context(), create("vm", key))
		if err != nil || accepted.Instance.HostName != "hostb" {
			t.Fatalf("accepted by %q, %v; want hostb", accepted.Instance.HostName, err)
		}
		record, _ := w.agents[1].Key(t.Context(), id)
		moved = record.Attempt == 2
	}
}

func TestUnreachableHostKeepsAKeyThatAnotherRequestGaveIt(t *testing.T) {
	w := newWorld(t, 2)
	key := w.keyAt(1)
	id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
	// Another registry gave the instance to hosta and died, maybe after hosta
	// promised it.
	w.agents[1].keys[id] = fleet.KeyRecord{Instance: id, RequestHash: create("vm", key).Hash, Host: w.agents[0].row.ID, Attempt: 1}
	_, err := w.misled(w.agents[0]).CreateInstance(t.Context(), create("vm", key))
	wantCode(t, err, fleet.CodeHostUnreachable)
	if on := w.machines(id); len(on) != 0 {
		t.Errorf("machines on %v, want none: hosta may have it", on)
	}
}

// TestKeyIsNotMovedUnderAnotherRequestThatReachedTheHost is the race that the
// rule of one driver for each attempt is for: a registry that cannot reach the
// host it chose must not move the key once another has taken the record over.
func TestKeyIsNotMovedUnderAnotherRequestThatReachedTheHost(t *testing.T) {
	w := newWorld(t, 2)
	key := w.keyAt(1)
	id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
	for range 20 { // the first choice is random; hosta must be it in some rounds
		for _, a := range w.agents {
			a.set(func(a *fakeAgent) { delete(a.keys, id); delete(a.claims, id) })
		}
		sighted, _ := w.registry()
		var entered atomic.Bool
		w.agents[1].afterKey = func(answer fleet.KeyAnswer) {
			if answer.Record.Host != w.agents[0].row.ID || !entered.CompareAndSwap(false, true) {
				return
			}
			// The misled registry has no answer yet.
			if _, err := sighted.CreateInstance(t.Context(), create("vm", key)); err != nil {
				t.Errorf("the registry that reaches hosta: %v", err)
			}
		}
		accepted, err := w.misled(w.agents[0]).CreateInstance(t.Context(), create("vm", key))
		on := w.machines(id)
		if len(on) != 1 {
			t.Fatalf("machines on %v, want one", on)
		}
		if err == nil && accepted.Instance.HostName != on[0] {
			t.Fatalf("promised on %s, machine on %s", accepted.Instance.HostName, on[0])
		}
		if err != nil && fleet.CodeOf(err) != fleet.CodeHostUnreachable {
			t.Fatalf("error %v; want host_unreachable", err)
		}
	}
}

// uneven leaves hosts little room at random, the last one enough, and returns two
// registries, of which the second may be misled about one of the others.
func (w *world) uneven(rng *rand.Rand) (one, two *core) {
	for _, a := range w.agents {
		slots := rng.IntN(3)
		a.set(func(a *fakeAgent) { a.slots = slots })
	}
	w.agents[3].set(func(a *fakeAgent) { a.slots = 5 })
	one, _ = w.registry()
	two, _ = w.registry()
	if rng.IntN(2) == 0 {
		two = w.misled(w.agents[rng.IntN(3)])
	}
	return one, two
}

// TestRacingRegistriesMakeOneMachineForEachKey sends each key at once to two
// registries, one of which may be misled, while hosts refuse at random.
func TestRacingRegistriesMakeOneMachineForEachKey(t *testing.T) {
	w, rng := newWorld(t, 4), rand.New(rand.NewPCG(11, 11))
	for n := range 40 {
		one, two := w.uneven(rng)
		key := fmt.Sprintf("race-%d", n)
		id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
		var group sync.WaitGroup
		results := make([]fleet.Accepted, 4)
		errs := make([]error, 4)
		for i, c := range []*core{one, two, one, two} {
			group.Go(func() { results[i], errs[i] = c.CreateInstance(t.Context(), create("vm", key)) })
		}
		group.Wait()
		on := w.machines(id)
		if len(on) > 1 {
			t.Fatalf("key %s: machines on %v", key, on)
		}
		for i, err := range errs {
			switch code := fleet.CodeOf(err); {
			case err == nil && (len(on) != 1 || results[i].Instance.HostName != on[0]):
				t.Fatalf("key %s: promised on %s, machines on %v", key, results[i].Instance.HostName, on)
			case err != nil && code != fleet.CodeKeyHomeUnreachable && code != fleet.CodeHostUnreachable && code != fleet.CodeRefused:
				t.Fatalf("key %s: %v", key, err)
			}
		}
		if errs[0] != nil && errs[2] != nil && len(on) == 0 {
			t.Fatalf("key %s: the registry that sees all got %v and %v", key, errs[0], errs[2])
		}
	}
}
