package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// asked collects the creates of a batch, in the order of their names.
type asked struct {
	mu   sync.Mutex
	list []CreateInstance
}

func (a *asked) add(c CreateInstance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, c)
}

func (a *asked) sorted() []CreateInstance {
	slices.SortFunc(a.list, func(x, y CreateInstance) int { return strings.Compare(x.Name, y.Name) })
	return a.list
}

func batchBody(count int) string {
	return fmt.Sprintf(`{"name":"web","flavor":"tiny","image":"tiny","count":%d}`, count)
}

// postBatch asks for a batch and returns the status, the answer and the problem.
func postBatch(t *testing.T, core *fakeCore, query, body string) (int, fleet.Batch, problem) {
	t.Helper()
	r := do(t, core, request{method: http.MethodPost, target: "/v1/instances" + query, body: body, header: map[string]string{"Idempotency-Key": "k"}})
	var sum fleet.Batch
	var p problem
	if err := json.Unmarshal(r.Body.Bytes(), &sum); err != nil && r.Code < 400 {
		t.Fatalf("answer %d %s: %v", r.Code, r.Body, err)
	}
	if r.Code >= 400 {
		p = problemIn(t, r)
	}
	return r.Code, sum, p
}

func TestBatchNumbersNamesAndKeys(t *testing.T) {
	var got asked
	core := full()
	core.create = func(c CreateInstance) (fleet.Accepted, error) { got.add(c); return acceptedNow, nil }
	status, sum, _ := postBatch(t, core, "", batchBody(3))
	if status != http.StatusAccepted || sum.Accepted != 3 || sum.Failed != 0 || len(sum.Items) != 3 || sum.Items[2].Name != "web-3" || sum.Items[2].Accepted.Operation == "" {
		t.Errorf("got %d %+v", status, sum)
	}
	for i, c := range got.sorted() {
		want := CreateInstance{Create: fleet.Create{Name: fmt.Sprint("web-", i+1), Flavor: "tiny", Image: "tiny"}, Key: fmt.Sprint("k/", i+1), Hash: got.list[0].Hash}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("item %d (-want +got):\n%s", i+1, diff)
		}
	}
	first := got.list[0].Hash
	for body, same := range map[string]bool{
		batchBody(7): true, // more of the same
		` {"count":2, "image":"tiny","flavor":"tiny" ,"name":"web"}`:                 true,
		`{"name":"web","flavor":"tiny","image":"tiny","count":2,"zone":"elsewhere"}`: false,
	} {
		got.list = nil
		if postBatch(t, core, "", body); (got.list[0].Hash == first) != same {
			t.Errorf("%s has the hash of the first batch: %v, want %v", body, !same, same)
		}
	}
}

func TestBatchTellsOfEachWhatBecameOfIt(t *testing.T) {
	full409 := &fleet.Error{Code: fleet.CodeRefused, Detail: "no host takes it", Verdicts: []fleet.Verdict{{HostName: "alpha", Refusals: []fleet.Refusal{{Code: fleet.RefuseCapacity}}}}}
	busy := &fleet.Error{Code: fleet.CodeKeyHomeUnreachable, Detail: "nobody answers"}
	for _, c := range []struct {
		name             string
		errs             map[string]error
		status           int
		accepted, failed int
	}{
		{"all", nil, 202, 3, 0},
		{"some", map[string]error{"web-2": full409}, 207, 2, 1},
		{"none, for one reason", map[string]error{"web-1": full409, "web-2": full409, "web-3": full409}, 409, 0, 3},
		{"none, for several reasons", map[string]error{"web-1": full409, "web-2": busy, "web-3": full409}, 207, 0, 3},
		{"none, as nobody can say", map[string]error{"web-1": busy, "web-2": busy, "web-3": busy}, 503, 0, 3},
	} {
		core := full()
		core.create = func(in CreateInstance) (fleet.Accepted, error) { return acceptedNow, c.errs[in.Name] }
		status, sum, p := postBatch(t, core, "", batchBody(3))
		if status >= 400 {
			if p.Batch == nil || p.Code != fleet.CodeOf(c.errs["web-1"]) {
				t.Fatalf("%s: the problem is %+v", c.name, p)
			}
			sum = *p.Batch
		}
		if status != c.status || sum.Accepted != c.accepted || sum.Failed != c.failed || len(sum.Items) != 3 {
			t.Errorf("%s: %d %+v", c.name, status, sum)
		}
		for _, item := range sum.Items {
			var want fleet.Code
			if err := c.errs[item.Name]; err != nil {
				want = fleet.CodeOf(err)
			}
			var got fleet.Code
			if item.Problem != nil {
				got = item.Problem.Code
			}
			if got != want || (item.Accepted == nil) != (item.Problem != nil) || want == fleet.CodeRefused && len(item.Problem.Verdicts) != 1 {
				t.Errorf("%s: item %+v, want code %q", c.name, item, want)
			}
		}
	}
}

func TestBatchWaitsForAllTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := full()
		core.await = func(ctx context.Context, _ fleet.InstanceID, _ fleet.Version) (*fleet.Instance, error) {
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
			row := acceptedNow.Instance
			row.Task, row.Version = fleet.TaskNone, fleet.Version{Host: hostID, Epoch: 3, Seq: 9}
			return &row, nil
		}
		start := time.Now()
		status, sum, _ := postBatch(t, core, "?wait=30s", batchBody(40))
		if took := time.Since(start); status != 200 || took != 2*time.Second || sum.Items[39].Accepted.Instance.Task != fleet.TaskNone {
			t.Errorf("status %d after %s, last %+v; want 200 after 2s", status, took, sum.Items[39])
		}
	})
}

func TestBatchIsMadeAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		core := full()
		core.create = func(CreateInstance) (fleet.Accepted, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return acceptedNow, nil
		}
		postBatch(t, core, "", batchBody(50))
		if most != fleet.BatchAbreast {
			t.Errorf("%d creates were under way at once, want %d", most, fleet.BatchAbreast)
		}
	})
}

// A thousand refusals that each name ten thousand hosts are no answer.
func TestBatchBoundsWhatHostsLacked(t *testing.T) {
	core := full()
	verdicts := make([]fleet.Verdict, fleet.MaxBatchVerdicts/4)
	core.create = func(CreateInstance) (fleet.Accepted, error) {
		return fleet.Accepted{}, &fleet.Error{Code: fleet.CodeRefused, Detail: "no host takes it", Verdicts: verdicts}
	}
	_, _, p := postBatch(t, core, "", batchBody(9))
	with := 0
	for _, item := range p.Batch.Items {
		if len(item.Problem.Verdicts) > 0 {
			with++
		}
		if item.Problem.Detail == "" {
			t.Errorf("%s has no sentence", item.Name)
		}
	}
	if with != 4 {
		t.Errorf("%d of 9 problems name every host, want 4", with)
	}
}

func TestBadCountsAreRefused(t *testing.T) {
	core := full()
	core.create = func(CreateInstance) (fleet.Accepted, error) {
		t.Error("the core was called")
		return acceptedNow, nil
	}
	for _, count := range []int{0, -1, fleet.MaxBatch + 1} {
		if status, _, p := postBatch(t, core, "", batchBody(count)); status != 422 || p.Code != fleet.CodeInvalid || !strings.Contains(p.Detail, "count") {
			t.Errorf("count %d: %d %+v", count, status, p)
		}
	}
	r := do(t, core, request{method: http.MethodPost, target: "/v1/placements", body: batchBody(2)})
	if p := problemIn(t, r); p.Code != fleet.CodeInvalid {
		t.Errorf("a dry run of several: %+v", p)
	}
}
