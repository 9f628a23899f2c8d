package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"grapevine/fleet"
)

// fakeAuditor remembers what it was told, a line each.
type fakeAuditor struct {
	told []string
	last fleet.AuditEntry
	full bool // it can write nothing
}

func (f *fakeAuditor) Audit(ctx context.Context, e fleet.AuditEntry, ahead bool) (context.Context, error) {
	f.last = e
	f.told = append(f.told, fmt.Sprintf("%s of %.8s, ahead %t", e.Route, e.Subject, ahead))
	if f.full && ahead {
		return ctx, &fleet.Error{Code: fleet.CodeOutOfSpace, Detail: "the disk is full"}
	}
	return ctx, nil
}

func (f *fakeAuditor) Answered(_ context.Context, status int, code string) {
	f.told = append(f.told, fmt.Sprint("answered ", status, " ", code))
}

func (f *fakeAuditor) Denied(e fleet.AuditEntry) {
	f.told = append(f.told, fmt.Sprint("denied ", e.Route, " ", e.Status, " ", e.Code))
}

// audit sends a request to a node that keeps a log.
func audit(t *testing.T, core *fakeCore, log *fakeAuditor, r request) int {
	t.Helper()
	options := testOptions(core)
	options.Audit = log
	return doWith(t, NewHandler(core, options), r).Code
}

func TestWhatChangesSomethingIsNotedDown(t *testing.T) {
	const other = "00000000-0000-4000-8000-00000000000f" // that the fake core has nothing of
	for _, c := range []struct {
		name string
		request
		status int
		told   string
	}{
		{"a read", request{target: "/v1/instances"}, 200, ""},
		{"a dry run", request{method: "POST", target: "/v1/placements", body: createBody}, 200, ""},
		{"a promise", request{method: "POST", target: "/v1/instances/" + instanceText + "/stop"}, 202, "POST /v1/instances/{id}/stop of 6ba7b810, ahead false"},
		{"a create", request{method: "POST", target: "/v1/instances", body: createBody}, 202, "POST /v1/instances of , ahead false"},
		{"what writes no promise", request{method: "POST", target: "/v1/instances/" + instanceText + "/console", body: `{"kind":"vnc"}`}, 200, "POST /v1/instances/{id}/console of 6ba7b810, ahead true"},
		{"a refusal", request{method: "POST", target: "/v1/instances/" + other + "/explode"}, 422, "POST /v1/instances/{id}/explode of 00000000, ahead false|answered 422 invalid"},
		{"no rights", request{method: "DELETE", target: "/v1/instances/" + other, role: AsAgent}, 403, "denied DELETE /v1/instances/{id} 403 forbidden"},
		{"no rights to read", request{target: "/v1/hosts/" + hostText + "/audit", role: AsAgent}, 403, "denied GET /v1/hosts/{id}/audit 403 forbidden"},
	} {
		log := &fakeAuditor{}
		status := audit(t, full(), log, c.request)
		told := strings.ReplaceAll(strings.Join(log.told, "|"), instanceText[:8], "6ba7b810")
		if status != c.status || told != c.told {
			t.Errorf("%s: status %d, told %q; want %d, %q", c.name, status, told, c.status, c.told)
		}
	}
}

func TestEntryHasTheHashOfTheRequestAndNothingOfItsBody(t *testing.T) {
	hashes := map[string]bool{}
	for _, body := range []string{`{"name":"one","flavor":"tiny","image":"tiny"}`, `{"name":"two","flavor":"tiny","image":"tiny"}`} {
		log := &fakeAuditor{}
		if status := audit(t, full(), log, request{method: "POST", target: "/v1/instances", body: body}); status != http.StatusAccepted {
			t.Fatalf("status is %d", status)
		}
		hashes[log.last.Request] = true
		if text := fmt.Sprintf("%+v", log.last); len(log.last.Request) != 64 || strings.Contains(text, "tiny") {
			t.Errorf("the entry is %s", text)
		}
	}
	if len(hashes) != 2 {
		t.Errorf("two requests have the hashes %v", hashes)
	}
}

func TestWhatCannotBeNotedDownIsNotDone(t *testing.T) {
	for noRoom, want := range map[bool]struct{ status, changes int }{true: {http.StatusInsufficientStorage, 0}, false: {http.StatusOK, 1}} {
		core := full()
		status := audit(t, core, &fakeAuditor{full: noRoom}, request{method: "POST", target: "/v1/mesh/keys", body: `{"action":"use","key":"aabbccddeeff"}`})
		if status != want.status || len(core.keyChanges) != want.changes {
			t.Errorf("disk full %t: status is %d, and the core was asked for %v", noRoom, status, core.keyChanges)
		}
	}
}

func TestRegistriesAloneSayForWhomTheyAsk(t *testing.T) {
	alice := fleet.Asker{Role: "operator", Name: "alice & bob; 100%", Address: "192.0.2.7:9"}
	for role, want := range map[PrincipalRole]int{AsRegistry: 202, AsOperator: 403} {
		log := &fakeAuditor{}
		r := request{method: "DELETE", target: "/v1/instances/" + instanceText, role: role, header: map[string]string{askedByHeader: alice.Encode()}}
		if got := audit(t, full(), log, r); got != want {
			t.Errorf("%s: status %d, want %d", role, got, want)
		}
		if role == AsRegistry && (log.last.For == nil || *log.last.For != alice) {
			t.Errorf("the entry is for %+v, want %+v", log.last.For, alice)
		}
		if role == AsOperator && len(log.told) != 0 {
			t.Errorf("the log was told %q", log.told)
		}
	}
	for _, text := range []string{"%zz", "id=7", strings.Repeat("x", 20_000)} {
		r := request{method: "DELETE", target: "/v1/instances/" + instanceText, role: AsRegistry, header: map[string]string{askedByHeader: text}}
		if got := audit(t, full(), &fakeAuditor{}, r); got != http.StatusBadRequest {
			t.Errorf("%.20q: status %d, want 400", text, got)
		}
	}
}

// TestNodeWithoutALogSaysForWhomItAsks: a registry's core is given a context that
// its requests to agents take the asker from.
func TestNodeWithoutALogSaysForWhomItAsks(t *testing.T) {
	core := full()
	var got fleet.Asker
	core.heard = func(ctx context.Context) { got, _ = fleet.BehalfOf(ctx) }
	do(t, core, request{method: "DELETE", target: "/v1/instances/" + instanceText, role: AsOperator})
	if got.Role != "operator" || got.Address == "" {
		t.Errorf("it is for %+v", got)
	}
}

func TestListsOfAuditedRoutesNameRoutes(t *testing.T) {
	for _, list := range []map[string]bool{promising, unaudited} {
		for name := range list {
			if access[name] == nil {
				t.Errorf("%s is no route", name)
			}
		}
	}
}
