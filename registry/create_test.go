package registry

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"grapevine/fleet"
)

func TestCreateIsPromisedByAHost(t *testing.T) {
	w := newWorld(t, 3)
	c, _ := w.registry()
	accepted, err := c.CreateInstance(t.Context(), create("vm", ""))
	if err != nil {
		t.Fatal(err)
	}
	on := w.machines(accepted.Instance.ID)
	if len(on) != 1 || on[0] != accepted.Instance.HostName || accepted.Operation == "" {
		t.Errorf("accepted %+v; machines on %v; want one, where it says", accepted, on)
	}
}

func TestRefusalBringsTheFreshRowAndTheNextHostIsAsked(t *testing.T) {
	w := newWorld(t, 3)
	c, _ := w.registry()
	w.agents[0].set(func(a *fakeAgent) { a.slots = 0 })
	w.agents[2].set(func(a *fakeAgent) { a.slots = 0 })
	for range 10 {
		accepted, err := c.CreateInstance(t.Context(), create("vm", ""))
		if err != nil {
			t.Fatal(err)
		}
		if accepted.Instance.HostName != "hostb" {
			t.Fatalf("instance is on %s, want hostb", accepted.Instance.HostName)
		}
	}
	for _, full := range []int{0, 2} {
		if asked := w.agents[full].proposals(); asked > 1 {
			t.Errorf("%s was asked %d times; its first refusal brought a row that says it is full", w.agents[full].row.Name, asked)
		}
	}
}

func TestRefusedByAllNamesEveryHostAndWhatItLacked(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	w.agents[0].set(func(a *fakeAgent) { a.slots = 0 }) // refuses though its row has room
	cordoned := w.agents[1].row
	cordoned.State = fleet.HostCordoned
	n.publish(cordoned)
	n.status(w.agents[2].row.ID, fleet.MemberFailed)
	for _, key := range []string{"", w.keyAt(0)} {
		_, err := c.CreateInstance(t.Context(), create("vm", key))
		e := wantCode(t, err, fleet.CodeRefused)
		want := map[string]fleet.RefusalCode{"hosta": fleet.RefuseCapacity, "hostb": fleet.RefuseCordoned, "hostc": fleet.RefuseUnreachable}
		if len(e.Verdicts) != len(want) {
			t.Fatalf("verdicts %v, want one for each of 3 hosts", e.Verdicts)
		}
		for _, v := range e.Verdicts {
			if v.Fits || v.Refusals[0].Code != want[v.HostName] || !strings.Contains(e.Detail, v.HostName) {
				t.Errorf("%s: %v in %q; want %s", v.HostName, v.Refusals, e.Detail, want[v.HostName])
			}
		}
	}
}

func TestFleetWithoutHostsRefuses(t *testing.T) {
	w := newWorld(t, 1)
	c, _ := w.registry()
	w.agents = nil
	empty, _ := w.registry()
	_, err := empty.CreateInstance(t.Context(), create("vm", ""))
	wantCode(t, err, fleet.CodeUnknownImage) // no host holds any image
	req := create("vm", "k")
	req.Flavor = "no-such"
	_, err = c.CreateInstance(t.Context(), req)
	wantCode(t, err, fleet.CodeUnknownFlavor)
}

// hang makes a claim wait until the request is given up or the test ends, and
// then go without an answer: net/http takes one that arrives while it closes
// the connection of a request given up.
func hang(t *testing.T) func(context.Context, fleet.Proposal) {
	t.Helper()
	end := t.Context().Done()
	return func(ctx context.Context, _ fleet.Proposal) {
		select {
		case <-ctx.Done():
		case <-end:
		}
		panic(http.ErrAbortHandler)
	}
}

func TestTimeOutIsNotARefusal(t *testing.T) {
	w := newWorld(t, 2)
	c, _ := w.registry()
	c.timeout = impatient
	for _, a := range w.agents {
		a.set(func(a *fakeAgent) { a.afterClaim = hang(t) })
	}
	_, err := c.CreateInstance(t.Context(), create("vm", ""))
	e := wantCode(t, err, fleet.CodeOutcomeUnknown)
	if on := w.machines(e.Instance); len(on) != 1 {
		t.Errorf("the error is about %s, which is on %v; want the one host that was asked", e.Instance, on)
	}
	if asked := w.agents[0].proposals() + w.agents[1].proposals(); asked != 1 {
		t.Errorf("%d hosts were asked, want 1", asked)
	}
}

func TestUnsentProposalGoesElsewhere(t *testing.T) {
	w := newWorld(t, 2)
	c, _ := w.registry()
	if err := w.agents[0].server.Close(); err != nil { // died; nobody has noticed
		t.Fatal(err)
	}
	for range 8 {
		accepted, err := c.CreateInstance(t.Context(), create("vm", ""))
		if err != nil || accepted.Instance.HostName != "hostb" {
			t.Fatalf("accepted by %q, %v; want hostb", accepted.Instance.HostName, err)
		}
	}
}
