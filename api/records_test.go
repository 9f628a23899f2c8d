package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestDecisionNeedsAReasonAndSaysWhoAsked(t *testing.T) {
	core := full()
	c := dial(t, core, AsOperator)
	for _, why := range []string{"", "  ", "two\nlines", strings.Repeat("x", fleet.MaxReasonBytes+1)} {
		if _, err := c.DecideHost(t.Context(), hostID, fleet.Forget, fleet.Decide{Reason: why}); fleet.CodeOf(err) != fleet.CodeInvalid {
			t.Errorf("reason %.20q: %v, want invalid", why, err)
		}
	}
	got, err := c.DecideHost(t.Context(), hostID, fleet.DeclareDead, fleet.Decide{Reason: "burnt"})
	if diff := cmp.Diff(fleet.Decided{Record: recordNow, Holders: []fleet.HostID{}}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if want := []string{"operator: declare-dead of " + hostID.String() + " because burnt"}; !slices.Equal(core.decisions, want) {
		t.Errorf("asked for %q, want %q", core.decisions, want)
	}
	if _, err := dial(t, core, AsAgent).DecideHost(t.Context(), hostID, fleet.Forget, fleet.Decide{Reason: "burnt"}); fleet.CodeOf(err) != fleet.CodeForbidden {
		t.Errorf("an agent decides: %v", err)
	}
}

func TestRecordIsPutByNodesAlone(t *testing.T) {
	if _, err := dial(t, full(), AsOperator).PutRecord(t.Context(), recordNow); fleet.CodeOf(err) != fleet.CodeForbidden {
		t.Errorf("an operator puts a record: %v", err)
	}
	got, err := dial(t, full(), AsAgent).PutRecord(t.Context(), recordNow)
	if diff := cmp.Diff(recordNow, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	forged := recordNow
	forged.Covers.Epoch++
	if _, err := dial(t, full(), AsAgent).PutRecord(t.Context(), forged); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("a record whose id does not follow from it: %v", err)
	}
}
