package registry

import (
	"context"
	"strings"
	"testing"

	"grapevine/api"
	"grapevine/fleet"
)

// DecideHost implements api.Core: it says whom the record is by.
func (a *fakeAgent) DecideHost(_ context.Context, id fleet.HostID, kind fleet.RecordKind, ask fleet.Decide, who api.Principal) (fleet.Decided, error) {
	return fleet.Decided{Record: fleet.Record{Kind: kind, Subject: id, By: ask.By + " " + string(who.Role), Why: ask.Reason, Acceptor: a.row.ID}}, nil
}

// IntendDelete implements api.Core.
func (a *fakeAgent) IntendDelete(_ context.Context, id fleet.InstanceID, ask fleet.Decide, _ api.Principal) (fleet.Decided, error) {
	return fleet.Decided{Record: fleet.Record{Kind: fleet.DeleteIntent, Subject: id, By: ask.By, Acceptor: a.row.ID}}, nil
}

func TestDecisionIsAcceptedByAnAgentInTheNameOfWhoAsked(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	in := running(1)
	n.publish(w.agents[2].row, in)
	lost := w.agents[2].row.ID
	n.status(lost, fleet.MemberFailed)
	alice := api.Principal{Role: api.AsOperator, Name: "alice"}
	_, err := c.DeleteInstance(t.Context(), in.ID)
	wantCode(t, err, fleet.CodeHostUnreachable)
	if !strings.Contains(err.Error(), "--when-back") {
		t.Errorf("a way out is not named: %v", err)
	}
	done, err := c.DecideHost(t.Context(), lost, fleet.DeclareDead, fleet.Decide{Reason: "burnt"}, alice)
	if r := done.Record; err != nil || r.By != "operator alice registry" || r.Why != "burnt" || r.Acceptor == lost || r.Subject != lost {
		t.Errorf("decided %+v, %v", r, err)
	}
	done, err = c.IntendDelete(t.Context(), in.ID, fleet.Decide{Reason: "old"}, alice)
	if r := done.Record; err != nil || r.By != "operator alice" || r.Subject != in.ID || r.Acceptor == lost {
		t.Errorf("intended %+v, %v", r, err)
	}
	_, err = c.DecideHost(t.Context(), fleet.UUID{0xff}, fleet.Forget, fleet.Decide{Reason: "burnt"}, alice)
	wantCode(t, err, fleet.CodeNotFound)
	_, err = c.DecideHost(t.Context(), lost, fleet.Forget, fleet.Decide{Reason: "burnt", By: "somebody else"}, alice)
	wantCode(t, err, fleet.CodeInvalid)
	for _, a := range w.agents {
		n.status(a.row.ID, fleet.MemberFailed)
	}
	_, err = c.DecideHost(t.Context(), lost, fleet.Forget, fleet.Decide{Reason: "burnt"}, alice)
	wantCode(t, err, fleet.CodeTooFewHolders)
}
