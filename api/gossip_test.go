package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestKeyChangesAreCheckedBeforeAnyMemberIsAsked(t *testing.T) {
	for _, body := range []string{
		`{"action":""}`,
		`{"action":"list"}`,
		`{"action":"use"}`,
		`{"action":"remove","key":""}`,
		`{}`,
	} {
		core := full()
		p := problemIn(t, do(t, core, request{method: "POST", target: "/v1/mesh/keys", body: body}))
		if p.Code != fleet.CodeInvalid || len(core.keyChanges) > 0 {
			t.Errorf("%s: got %+v and changes %v, want invalid and none", body, p, core.keyChanges)
		}
	}
	core := full()
	do(t, core, request{method: "POST", target: "/v1/mesh/keys", body: `{"action":"use","key":"aabbccddeeff","force":true}`})
	want := []fleet.GossipKeyChange{{Action: fleet.GossipKeyUse, Key: "aabbccddeeff", Force: true}}
	if diff := cmp.Diff(want, core.keyChanges); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAgentsMayNeitherChangeKeysNorMakeANodeLeave(t *testing.T) {
	for _, target := range []string{"/v1/mesh/keys", "/v1/mesh/leave"} {
		p := problemIn(t, do(t, full(), request{method: "POST", target: target, role: AsAgent}))
		if p.Code != fleet.CodeForbidden {
			t.Errorf("%s: got %+v, want forbidden", target, p)
		}
	}
}
