package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func acceptedIn(t *testing.T, r *httptest.ResponseRecorder) fleet.Accepted {
	t.Helper()
	var a fleet.Accepted
	if err := json.Unmarshal(r.Body.Bytes(), &a); err != nil {
		t.Fatalf("answer %d %s: %v", r.Code, r.Body, err)
	}
	return a
}

func TestCreatePassesKeyAndHashOfTheBodyAsSent(t *testing.T) {
	body := ` {"name":"one", "flavor":"tiny","image":"tiny","labels":{"tier":"web"}}`
	var got CreateInstance
	core := full()
	core.create = func(c CreateInstance) (fleet.Accepted, error) { got = c; return acceptedNow, nil }
	do(t, core, request{method: "POST", target: "/v1/instances", body: body, header: map[string]string{"Idempotency-Key": "k-1"}})
	want := CreateInstance{
		Create: fleet.Create{Name: "one", Flavor: "tiny", Image: "tiny", Labels: map[string]string{"tier": "web"}},
		Key:    "k-1", Hash: got.Hash,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	first := got.Hash
	do(t, core, request{method: "POST", target: "/v1/instances", body: body})
	if got.Hash != first || len(first) != 64 {
		t.Errorf("hash of the same body is %s, then %s", first, got.Hash)
	}
	do(t, core, request{method: "POST", target: "/v1/instances", body: strings.TrimSpace(body)})
	if got.Hash == first {
		t.Error("another body has the same hash")
	}
}

func TestFiltersReachTheCore(t *testing.T) {
	var got fleet.InstanceQuery
	core := full()
	core.instances = func(q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
		got = q
		return fleet.List[fleet.Instance]{}, nil
	}
	r := do(t, core, request{method: "GET", target: "/v1/instances?host=alpha&project=p&state=running&name=n&label=a=1&label=b=x%2Cy%3Dz&limit=10000&marker=m"})
	want := fleet.InstanceQuery{Host: "alpha", Project: "p", State: fleet.PowerRunning, Name: "n", Labels: map[string]string{"a": "1", "b": "x,y=z"}, Limit: fleet.MaxPage, Marker: "m"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := `{"items":[],"coverage":{"heard":0,"known":0}}`; strings.TrimSpace(r.Body.String()) != want {
		t.Errorf("an empty page is %s, want %s", r.Body, want)
	}
}

func TestWaitAnswersWithTheRowAsItIsThen(t *testing.T) {
	r := do(t, full(), request{method: "POST", target: "/v1/instances?wait=30s", body: createBody})
	got := acceptedIn(t, r)
	later := fleet.Version{Host: hostID, Epoch: 3, Seq: 9}
	if r.Code != 200 || got.Instance.Power != fleet.PowerRunning || got.Instance.Task != fleet.TaskNone || got.Version != later || got.Operation == "" {
		t.Errorf("got %d %+v", r.Code, got)
	}
	if r.Header().Get("Grapevine-Version") != later.String() {
		t.Errorf("header %q, want %s", r.Header().Get("Grapevine-Version"), later)
	}
}

func TestWaitForADeleteSaysGone(t *testing.T) {
	core := full()
	core.await = func(context.Context, fleet.InstanceID, fleet.Version) (*fleet.Instance, error) { return nil, nil }
	r := do(t, core, request{method: "DELETE", target: "/v1/instances/" + instanceText + "?wait=30s"})
	if got := acceptedIn(t, r); r.Code != 200 || !got.Gone || got.Instance.ID != instanceID {
		t.Errorf("got %d %+v", r.Code, got)
	}
}

func TestWaitThatRunsOutIsStillAccepted(t *testing.T) {
	old := acceptedNow.Instance
	old.Version, old.Task = fleet.Version{Host: hostID, Epoch: 3, Seq: 1}, fleet.TaskNone
	for name, row := range map[string]*fleet.Instance{"not heard of yet": nil, "an older row": &old} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core := full()
				core.await = func(ctx context.Context, _ fleet.InstanceID, _ fleet.Version) (*fleet.Instance, error) {
					<-ctx.Done()
					return row, nil
				}
				start := time.Now()
				r := do(t, core, request{method: "POST", target: "/v1/instances?wait=3s", body: createBody})
				got := acceptedIn(t, r)
				if r.Code != 202 || got.Gone || got.Instance.Task != fleet.TaskBuilding || got.Version != versionNow {
					t.Errorf("got %d %+v", r.Code, got)
				}
				if took := time.Since(start); took != 3*time.Second {
					t.Errorf("waited %s, want 3s", took)
				}
			})
		})
	}
}

func TestFailedWaitDoesNotTakeThePromiseBack(t *testing.T) {
	core := full()
	core.await = func(context.Context, fleet.InstanceID, fleet.Version) (*fleet.Instance, error) {
		return nil, errors.New("shutting down")
	}
	r := do(t, core, request{method: "POST", target: "/v1/instances?wait=3s", body: createBody})
	if got := acceptedIn(t, r); r.Code != 202 || got.Gone || got.Operation != acceptedNow.Operation {
		t.Errorf("got %d %+v", r.Code, got)
	}
}

func TestForceReachesTheCore(t *testing.T) {
	for target, want := range map[string]bool{"/stop": false, "/stop?force=true": true, "/stop?force=false": false} {
		var got ActOptions
		core := full()
		core.act = func(_ fleet.InstanceID, a fleet.InstanceAction, o ActOptions) (fleet.Accepted, error) {
			got = o
			return acceptedNow, nil
		}
		do(t, core, request{method: "POST", target: "/v1/instances/" + instanceText + target})
		if got.Force != want {
			t.Errorf("%s: force %v, want %v", target, got.Force, want)
		}
	}
}
