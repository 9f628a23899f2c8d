package registry

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"grapevine/agent/witness" //nolint:depguard // the real rule stands in for that of an agent
	"grapevine/fleet"
	"grapevine/grants/ask"
)

// fakeWitness is the real rule over a journal that is a map.
type fakeWitness struct {
	mu      sync.Mutex
	office  witness.Office
	entries map[fleet.UUID]fleet.GrantEntry
	// afterGrant, if set, runs outside the lock after an answer was made.
	afterGrant func(fleet.GrantAsk)
}

// Grant implements api.Witness.
func (a *fakeAgent) Grant(_ context.Context, q fleet.GrantAsk) (fleet.GrantAnswer, error) {
	w := &a.witness
	w.mu.Lock()
	if !w.office.Grants() {
		set := w.office.Set
		w.mu.Unlock()
		return fleet.GrantAnswer{Set: &set}, nil
	}
	next, answer, write := w.office.Judge(w.entries[q.Key], q)
	if write {
		w.entries[q.Key] = next
	}
	after := w.afterGrant
	w.mu.Unlock()
	if after != nil {
		after(q)
	}
	return answer, nil
}

// Grants implements api.Witness.
func (a *fakeAgent) Grants(context.Context, fleet.UUID) (fleet.GrantPage, error) {
	a.witness.mu.Lock()
	defer a.witness.mu.Unlock()
	page := fleet.GrantPage{Number: a.witness.office.Set.Number}
	for _, key := range slices.SortedFunc(maps.Keys(a.witness.entries), func(a, b fleet.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		page.Entries = append(page.Entries, a.witness.entries[key])
	}
	return page, nil
}

// WitnessState implements api.Witness.
func (a *fakeAgent) WitnessState(context.Context) (fleet.WitnessState, error) {
	a.witness.mu.Lock()
	defer a.witness.mu.Unlock()
	return fleet.WitnessState{Set: a.witness.office.Set, Ready: a.witness.office.Grants(), Keys: len(a.witness.entries)}, nil
}

// TellWitness implements api.Witness.
func (a *fakeAgent) TellWitness(ctx context.Context, update fleet.WitnessUpdate) (fleet.WitnessState, error) {
	a.witness.mu.Lock()
	a.witness.office.Self = a.row.ID
	a.witness.office.Adopt(update)
	if a.witness.entries == nil {
		a.witness.entries = map[fleet.UUID]fleet.GrantEntry{}
	}
	a.witness.mu.Unlock()
	return a.WitnessState(ctx)
}

// Witnesses and ChangeWitnesses implement api.WitnessKeeper; nobody asks here.
func (a *fakeAgent) Witnesses(context.Context) (fleet.WitnessReport, error) {
	panic("asked for the set")
}

// ChangeWitnesses implements api.WitnessKeeper.
func (a *fakeAgent) ChangeWitnesses(context.Context, fleet.WitnessChange) (fleet.WitnessReport, error) {
	panic("asked to change the set")
}

// pinned is a fleet of six with a witness set: its first five agents.
func pinned(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, fleet.Witnesses+1)
	c, _ := w.registry()
	if _, err := c.ChangeWitnesses(t.Context(), fleet.WitnessChange{Members: []string{"hosta", "hostb", "hostc", "hostd", "hoste"}}); err != nil {
		t.Fatal(err)
	}
	set := fleet.WitnessSet{Number: 1}
	for _, a := range w.agents[:fleet.Witnesses] {
		set.Members = append(set.Members, a.row.ID)
	}
	for i, a := range w.agents {
		a.row.Follows = 1
		if i < fleet.Witnesses {
			a.row.Witnesses = &set
		}
	}
	return w
}

// dies makes an agent one that cannot be reached any more.
func (w *world) dies(n int) { _ = w.agents[n].server.Close() }

// TestProof1 is proof 1: two registries, the same key, the same instant, and a
// partition between them make one machine; by the home rule and by witnesses.
func TestProof01TwoRegistriesAndAPartitionMakeOneMachine(t *testing.T) {
	t.Run("by the home rule", func(t *testing.T) {
		w := newWorld(t, 4)
		for n := range 20 {
			one, _ := w.registry()
			two, cut := w.registry()
			// The second registry's side of the partition has one host less: the home, or
			// the one that was chosen, or another.
			cut.status(w.agents[n%4].row.ID, fleet.MemberFailed)
			w.race(t, fmt.Sprintf("home-%d", n), one, two)
		}
	})
	t.Run("by witnesses", func(t *testing.T) {
		w := pinned(t)
		for n := range 20 {
			one, _ := w.registry()
			two, cut := w.registry()
			other, cutToo := w.registry()
			// Two hosts are on the one side, four on the other, three of them witnesses:
			// whoever has no majority decides nothing.
			for i, a := range w.agents {
				if (i+n)%6 < 2 {
					cut.status(a.row.ID, fleet.MemberFailed)
				} else {
					cutToo.status(a.row.ID, fleet.MemberFailed)
				}
			}
			w.race(t, fmt.Sprintf("witness-%d", n), one, two, other)
		}
	})
}

// race sends one create to all of these at once, and checks that there is at
// most one machine, and one if anybody was told so.
func (w *world) race(t *testing.T, key string, cores ...*core) {
	t.Helper()
	id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
	hosts, errs := make([]string, len(cores)), make([]error, len(cores))
	var group sync.WaitGroup
	for i, c := range cores {
		group.Go(func() {
			accepted, err := c.CreateInstance(t.Context(), create("vm", key))
			hosts[i], errs[i] = accepted.Instance.HostName, err
		})
	}
	group.Wait()
	on := w.machines(id)
	if len(on) > 1 {
		t.Fatalf("key %s: machines on %v", key, on)
	}
	for i, err := range errs {
		switch code := fleet.CodeOf(err); {
		case err == nil && (len(on) != 1 || hosts[i] != on[0]):
			t.Fatalf("key %s: promised on %s, machines on %v", key, hosts[i], on)
		case err != nil && code != fleet.CodeKeyHomeUnreachable && code != fleet.CodeHostUnreachable && code != fleet.CodeNoWitnesses && code != fleet.CodeBusy:
			t.Fatalf("key %s: %v", key, err)
		}
	}
	if errs[0] != nil && len(on) == 0 {
		t.Fatalf("key %s: the registry that sees all got %v", key, errs[0])
	}
}

func TestProof01GoesOnWithTwoWitnessesDeadAndNotWithThree(t *testing.T) {
	w := pinned(t)
	for dead := range 4 {
		if dead > 0 {
			w.dies(dead - 1)
		}
		c, n := w.registry()
		for i := range dead {
			n.status(w.agents[i].row.ID, fleet.MemberFailed)
		}
		for k := range 5 {
			key := fmt.Sprintf("key-%d-%d", dead, k)
			accepted, err := c.CreateInstance(t.Context(), create("vm", key))
			on := w.machines(fleet.KeyedInstanceID(fleet.DefaultProject, key))
			if dead < 3 {
				if err != nil || len(on) != 1 || on[0] != accepted.Instance.HostName {
					t.Fatalf("%d dead: %v; machines on %v", dead, err, on)
				}
				continue
			}
			e := wantCode(t, err, fleet.CodeNoWitnesses)
			if len(on) != 0 {
				t.Errorf("%s, and machines on %v", e.Detail, on)
			}
		}
	}
}

// TestProof01RegistryThatDiedLeavesItsKeyToTheNext: a registry's grant reached one
// witness, and it died; another one ends what it began.
func TestProof01RegistryThatDiedLeavesItsKeyToTheNext(t *testing.T) {
	w := pinned(t)
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 20 {
		ctx, die := context.WithCancel(t.Context())
		left := rng.IntN(7) // answers until it dies
		var mu sync.Mutex
		for _, a := range w.agents[:fleet.Witnesses] {
			a.witness.mu.Lock()
			a.witness.afterGrant = func(fleet.GrantAsk) {
				mu.Lock()
				defer mu.Unlock()
				if left--; left < 0 {
					die()
				}
			}
			a.witness.mu.Unlock()
		}
		key := fmt.Sprintf("died-%d", n)
		one, _ := w.registry()
		_, _ = one.CreateInstance(ctx, create("vm", key)) // its client is told nothing any more
		die()
		for _, a := range w.agents[:fleet.Witnesses] {
			a.witness.mu.Lock()
			a.witness.afterGrant = nil
			a.witness.mu.Unlock()
		}
		two, _ := w.registry()
		accepted, err := two.CreateInstance(t.Context(), create("vm", key))
		on := w.machines(fleet.KeyedInstanceID(fleet.DefaultProject, key))
		if err != nil || len(on) != 1 || on[0] != accepted.Instance.HostName {
			t.Fatalf("%s: on %q, %v; machines on %v", key, accepted.Instance.HostName, err, on)
		}
	}
}

func TestKeyOfAHostThatKeepsItStillIsNobodyElses(t *testing.T) {
	w := pinned(t)
	w.agents[5].row.Follows = 0 // it has not heard of the set
	c, _ := w.registry()
	_, err := c.CreateInstance(t.Context(), create("vm", w.keyAt(5)))
	wantCode(t, err, fleet.CodeKeyHomeUnreachable)
	if _, err := c.CreateInstance(t.Context(), create("vm", w.keyAt(0))); err != nil {
		t.Errorf("a key of another host: %v", err)
	}
}

func TestFirstSetIsPinnedOnce(t *testing.T) {
	w := pinned(t)
	c, _ := w.registry()
	_, err := c.ChangeWitnesses(t.Context(), fleet.WitnessChange{Members: []string{"hosta", "hostb", "hostc", "hostd", "hostf"}})
	wantCode(t, err, fleet.CodeConflict)
	_, err = c.ChangeWitnesses(t.Context(), fleet.WitnessChange{Members: []string{"hosta", "hostb", "hostc", "hostd", "hostd"}})
	wantCode(t, err, fleet.CodeInvalid)
	report, err := c.ChangeWitnesses(t.Context(), fleet.WitnessChange{Members: []string{"hoste", "hostb", "hostc", "hostd", "hosta"}})
	if err != nil || len(report.Members) != fleet.Witnesses {
		t.Errorf("the same set again: %+v, %v", report, err)
	}
}

// TestProof13PlacesOfAGroupAreGrantedOnce is the primitive of proof 13: of an
// anti-affinity group, which has one place on each host, 12 askers at once want
// places for instances of theirs, and two never get one on the same host.
func TestProof13PlacesOfAGroupAreGrantedOnce(t *testing.T) {
	w := pinned(t)
	one, _ := w.registry()
	two, _ := w.registry()
	var mu sync.Mutex
	at := map[fleet.HostID][]fleet.InstanceID{}
	var racing sync.WaitGroup
	for n := range 12 {
		c := []*core{one, two}[n%2]
		racing.Go(func() {
			id, order := newInstanceID(), rand.Perm(len(w.agents))
			for _, i := range order {
				host := w.agents[i].row.ID
				grant := &fleet.Grant{KeyRecord: fleet.KeyRecord{Kind: fleet.GrantSlot}, Token: ask.NewToken()}
				grant.Instance, grant.Host, grant.Attempt = id, host, 1
				outcome, err := c.asker.Change(t.Context(), c.keeper.Set(), fleet.SlotKey("db", host), fleet.GrantChange{Grant: grant})
				if fleet.CodeOf(err) == fleet.CodeBusy || fleet.CodeOf(err) == fleet.CodeNoWitnesses {
					continue // it has no place there, and may not act as if it had
				}
				if err != nil {
					t.Error(err)
					return
				}
				if outcome.Stored {
					mu.Lock()
					at[host] = append(at[host], id)
					mu.Unlock()
					return
				}
			}
		})
	}
	racing.Wait()
	for host, ids := range at {
		if len(ids) > 1 {
			t.Errorf("host %s was given to %v", host, ids)
		}
	}
	if len(at) == 0 {
		t.Error("nobody got a place")
	}
}
