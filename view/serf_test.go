package view

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestRoundTripsCarryNames(t *testing.T) {
	_, v, _ := tracing(t, nil)
	got, err := v.RTT(t.Context(), "origin", "")
	want := fleet.RoundTrip{From: uuid(2), FromName: "origin", To: uuid(5), ToName: "self", RTTMS: 1.5}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("rtt: %v (-want +got)\n%s", err, diff)
	}
	got, err = v.Ping(t.Context(), "between")
	want = fleet.RoundTrip{From: uuid(5), FromName: "self", To: uuid(3), ToName: "between", RTTMS: 2, Measured: true}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("ping: %v (-want +got)\n%s", err, diff)
	}
	_, err = v.Ping(t.Context(), "nobody")
	wantCode(t, err, fleet.CodeNotFound)
}

func TestKeyReportsNameTheMembersThatDidNotDoIt(t *testing.T) {
	m, v, _ := tracing(t, nil)
	var asked []fleet.GossipKeyChange
	m.keys = func(c fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
		asked = append(asked, c)
		return fleet.GossipKeyReport{Errors: []fleet.MemberError{{ID: uuid(2), Error: "no"}}}, nil
	}
	change := fleet.GossipKeyChange{Action: fleet.GossipKeyUse, Key: "aabb"}
	report, err := v.ChangeGossipKeys(t.Context(), change)
	if err != nil || report.Errors[0].Name != "origin" {
		t.Errorf("got %+v, %v; want the member's name", report, err)
	}
	if _, err := v.GossipKeys(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]fleet.GossipKeyChange{change, {}}, asked); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	m.keys = func(fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
		return fleet.GossipKeyReport{}, context.DeadlineExceeded
	}
	_, err = v.ChangeGossipKeys(t.Context(), change)
	wantCode(t, err, fleet.CodeOutcomeUnknown)
}
