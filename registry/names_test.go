package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"grapevine/api"
	"grapevine/fleet"
)

// named is a create that wants its name, web, to be unique.
func named(key string) api.CreateInstance {
	c := create("web", key)
	c.UniqueName = true
	return c
}

// deletes makes the instance one that was deleted at its host.
func (w *world) deletes(id fleet.InstanceID) {
	for _, a := range w.agents {
		a.set(func(a *fakeAgent) {
			if _, there := a.claims[id]; there {
				delete(a.claims, id)
				a.deleted[id] = true
			}
		})
	}
}

// eachWay runs a test by the home rule and with witnesses.
func eachWay(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Run("by the home rule", func(t *testing.T) { test(t, newWorld(t, 4)) })
	t.Run("by witnesses", func(t *testing.T) { test(t, pinned(t)) })
}

func TestUniqueNameIsGivenOnceAndIsFreeAfterADelete(t *testing.T) {
	eachWay(t, func(t *testing.T, w *world) {
		t.Helper()
		one, _ := w.registry()
		two, _ := w.registry()
		first, err := one.CreateInstance(t.Context(), named("a"))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"b", ""} {
			_, err = two.CreateInstance(t.Context(), named(key))
			if e := wantCode(t, err, fleet.CodeNameTaken); e.Instance != first.Instance.ID {
				t.Errorf("the error tells of %s, want %s", e.Instance, first.Instance.ID)
			}
		}
		if again, err := two.CreateInstance(t.Context(), named("a")); err != nil || again.Instance.ID != first.Instance.ID {
			t.Errorf("the same create again: %s, %v", again.Instance.ID, err)
		}
		elsewhere := named("b")
		elsewhere.Project = "other"
		if _, err := two.CreateInstance(t.Context(), elsewhere); err != nil {
			t.Errorf("the name in another project: %v", err)
		}
		w.deletes(first.Instance.ID)
		second, err := two.CreateInstance(t.Context(), named("c"))
		if err != nil {
			t.Fatalf("after the delete: %v", err)
		}
		_, err = one.CreateInstance(t.Context(), named("d"))
		if e := wantCode(t, err, fleet.CodeNameTaken); e.Instance != second.Instance.ID {
			t.Errorf("the error tells of %s, want %s", e.Instance, second.Instance.ID)
		}
	})
}

func TestProjectWhoseNamesAreUniqueNeedsNoAsking(t *testing.T) {
	w := newWorld(t, 3)
	c, _ := w.registry()
	c.uniqueNames = []string{"prod"}
	in := create("web", "a")
	for _, want := range []fleet.Code{"", ""} { // in no such project
		if _, err := c.CreateInstance(t.Context(), in); fleet.CodeOf(err) != want {
			t.Fatal(err)
		}
		in.Key += "a"
	}
	in.Project = "prod"
	for _, want := range []fleet.Code{"", fleet.CodeNameTaken} {
		if _, err := c.CreateInstance(t.Context(), in); fleet.CodeOf(err) != want {
			t.Fatalf("got %v, want code %q", err, want)
		}
		in.Key += "a"
	}
	c.uniqueNames = []string{AllProjects}
	in.Project = "any"
	for _, want := range []fleet.Code{"", fleet.CodeNameTaken} {
		if _, err := c.CreateInstance(t.Context(), in); fleet.CodeOf(err) != want {
			t.Fatalf("got %v, want code %q", err, want)
		}
		in.Key += "a"
	}
}

// A registry took the name and died. The instance can still come, until its host
// has refused it.
func TestNameOfACreateThatWasNeverProposedIsTakenOver(t *testing.T) {
	eachWay(t, func(t *testing.T, w *world) {
		t.Helper()
		c, _ := w.registry()
		dead, host := fleet.UUID{99}, w.agents[1]
		n, err := c.newName(fleet.DefaultProject, "web", dead)
		if err == nil {
			err = n.hold(t.Context(), host.row.ID, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := c.CreateInstance(t.Context(), named("k"))
		if err != nil {
			t.Fatal(err)
		}
		request := fleet.Request{ID: dead, Name: "web", Project: fleet.DefaultProject, Image: w.image.ID, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}}
		_, err = host.Claim(t.Context(), fleet.Proposal{Request: request, RequestHash: create("web", "").Hash, Attempt: 1})
		wantCode(t, err, fleet.CodeRefused)
		wantCode(t, n.hold(t.Context(), w.agents[2].row.ID, 2), fleet.CodeNameTaken)
		if on := w.machines(accepted.Instance.ID); len(on) != 1 {
			t.Errorf("machines on %v, want one", on)
		}
	})
}

func TestNameStaysWhileItsHoldersHostCannotBeAsked(t *testing.T) {
	w := newWorld(t, 4)
	c, _ := w.registry()
	home, _ := fleet.HomeOf(fleet.NameKey(fleet.DefaultProject, "web"), c.HostIDs())
	for _, a := range w.agents {
		if a.row.ID == home { // the name's home is to be another host than its holder's
			a.set(func(a *fakeAgent) { a.slots = 0 })
		}
	}
	first, err := c.CreateInstance(t.Context(), named("a"))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range w.agents {
		if a.row.ID == first.Instance.Host {
			w.dies(i)
		}
	}
	_, err = c.CreateInstance(t.Context(), named("b"))
	if code := fleet.CodeOf(err); code != fleet.CodeKeyHomeUnreachable && code != fleet.CodeHostUnreachable {
		t.Errorf("got %v", err)
	}
}

func TestNameIsGivenBackWhereNoHostTakesItsInstance(t *testing.T) {
	eachWay(t, func(t *testing.T, w *world) {
		t.Helper()
		c, _ := w.registry()
		slots := func(n int) {
			for _, a := range w.agents {
				a.set(func(a *fakeAgent) { a.slots = n })
			}
		}
		slots(0)
		_, err := c.CreateInstance(t.Context(), named("a"))
		wantCode(t, err, fleet.CodeRefused)
		n, err := c.newName(fleet.DefaultProject, "web", fleet.UUID{9})
		if err == nil {
			err = n.find(t.Context())
		}
		if err != nil || !n.record.Released {
			t.Fatalf("the name's record is %+v, %v; want it given back", n.record, err)
		}
		slots(1000)
		other, _ := w.registry()
		if _, err := other.CreateInstance(t.Context(), named("b")); err != nil {
			t.Errorf("another instance: %v", err)
		}
	})
}

func TestInstanceThatNeverAskedForItsNameHasIt(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	old := running(1)
	old.Name = "web"
	n.publish(w.agents[1].row, old)
	w.agents[1].set(func(a *fakeAgent) { a.claims[old.ID] = "before" })
	_, err := c.CreateInstance(t.Context(), named("a"))
	if e := wantCode(t, err, fleet.CodeNameTaken); e.Instance != old.ID {
		t.Errorf("the error tells of %s, want %s", e.Instance, old.ID)
	}
	w.deletes(old.ID) // and this registry has not heard of it yet
	if _, err := c.CreateInstance(t.Context(), named("a")); err != nil {
		t.Errorf("after the delete: %v", err)
	}
}

func TestAdoptedMachineTakesItsName(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	c.uniqueNames = []string{fleet.DefaultProject}
	found := running(1)
	found.Name, found.Project, found.Ownership = "web", "", fleet.Foreign
	n.publish(w.agents[1].row, found)
	w.agents[1].set(func(a *fakeAgent) { a.claims[found.ID] = "foreign" })
	if _, err := c.ActInstance(t.Context(), found.ID, fleet.Adopt, api.ActOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ActInstance(t.Context(), found.ID, fleet.Adopt, api.ActOptions{}); err != nil {
		t.Errorf("adopted again: %v", err)
	}
	_, err := c.CreateInstance(t.Context(), create("web", "a"))
	wantCode(t, err, fleet.CodeNameTaken)
}

// TestRacingCreatesOfOneNameMakeOneMachine has registries, one of which may be
// misled, create instances of one name at once, while hosts refuse at random, and
// delete what came of it.
func TestRacingCreatesOfOneNameMakeOneMachine(t *testing.T) {
	eachWay(t, func(t *testing.T, w *world) {
		t.Helper()
		rng := rand.New(rand.NewPCG(3, 3))
		made := 0
		for n := range 10 {
			one, two := w.uneven(rng)
			var group sync.WaitGroup
			ids := make([]fleet.InstanceID, 6)
			errs := make([]error, len(ids))
			for i := range ids {
				key := fmt.Sprintf("key-%d-%d", n, i/2) // each sent twice
				ids[i] = fleet.KeyedInstanceID(fleet.DefaultProject, key)
				c := []*core{one, two}[i%2]
				group.Go(func() { _, errs[i] = c.CreateInstance(t.Context(), named(key)) })
			}
			group.Wait()
			var live []fleet.InstanceID
			for i := 0; i < len(ids); i += 2 {
				on := w.machines(ids[i])
				if len(on) > 1 {
					t.Fatalf("instance %s on %v", ids[i], on)
				}
				if len(on) == 1 {
					live = append(live, ids[i])
				}
			}
			if len(live) > 1 {
				t.Fatalf("round %d: %v all have the name (%v)", n, live, errs)
			}
			for _, id := range live {
				made++
				w.deletes(id)
			}
		}
		if made < 5 {
			t.Errorf("%d of 10 rounds made a machine", made)
		}
	})
}

func TestFastCreateAsksNobodyWhoHasItsKey(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	fast := create("vm", "k")
	fast.Fast = true
	first, err := c.CreateInstance(t.Context(), fast)
	if err != nil || first.Consistency != fleet.ConsistencyFast {
		t.Fatalf("got %+v, %v", first, err)
	}
	for _, a := range w.agents {
		if _, err := a.Key(context.Background(), first.Instance.ID); fleet.CodeOf(err) != fleet.CodeNotFound {
			t.Errorf("%s was asked for the key", a.row.Name)
		}
	}
	for _, a := range w.agents {
		if a.row.ID == first.Instance.Host {
			n.publish(a.row, first.Instance)
		}
	}
	again, err := c.CreateInstance(t.Context(), fast)
	if err != nil || again.Instance.ID != first.Instance.ID || len(w.machines(first.Instance.ID)) != 1 {
		t.Errorf("again, after it was heard: %s, %v; machines on %v", again.Instance.ID, err, w.machines(first.Instance.ID))
	}
	fast.UniqueName = true
	_, err = c.CreateInstance(t.Context(), fast)
	wantCode(t, err, fleet.CodeInvalid)
	fast.UniqueName, c.uniqueNames = false, []string{AllProjects}
	_, err = c.CreateInstance(t.Context(), fast)
	wantCode(t, err, fleet.CodeInvalid)
}
