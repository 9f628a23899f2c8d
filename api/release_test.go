package api

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

// Who released a host is what the access layer knows, and not what a request
// says; only a registry, which passes requests on, may name somebody else.
func TestReleaseIsKnownByWhoAskedForIt(t *testing.T) {
	for _, tt := range []struct {
		role       PrincipalRole
		body, want string
		status     int
	}{
		{AsOperator, `{"reason":"seen"}`, "operator alice", http.StatusOK},
		{AsOperator, `{"reason":"seen","by":"bob"}`, "", http.StatusUnprocessableEntity},
		{AsRegistry, `{"reason":"seen","by":"operator bob"}`, "operator bob", http.StatusOK},
		{AsOperator, `{"reason":" "}`, "", http.StatusUnprocessableEntity},
	} {
		core := full()
		options := testOptions(core)
		options.Principal = func(*http.Request) Principal { return Principal{Role: tt.role, Name: "alice"} }
		r := doWith(t, NewHandler(core, options), request{method: "POST", target: "/v1/hosts/" + hostText + "/release", body: tt.body})
		if r.Code != tt.status || core.decided.By != tt.want {
			t.Errorf("%s sent %s: got %d and %+v, want %d by %q", tt.role, tt.body, r.Code, core.decided, tt.status, tt.want)
		}
		if want := (fleet.Decide{Reason: "seen", By: tt.want}); tt.status == http.StatusOK && core.decided != want {
			t.Errorf("got %+v, want %+v", core.decided, want)
		}
	}
}
