package agent_test

import (
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// wantNotMoved asks for an instance to be moved, and wants that refused at once.
func (s *site) wantNotMoved(id fleet.InstanceID, want fleet.Code) {
	s.t.Helper()
	_, err := s.MigrateInstance(s.t.Context(), id, fleet.Migrate{}, client.KeyedOptions{})
	code(s.t, err, want)
	if row := s.row(id); row == nil || row.Task != fleet.TaskNone {
		s.t.Errorf("its row is %+v", row)
	}
}

func TestWhatCannotBeMovedIsRefused(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	s.wantNotMoved(id, fleet.CodeConflict) // it runs
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	s.change(id, fleet.TakeSnapshot, "before")
	s.wantNotMoved(id, fleet.CodeConflict)
	s.change(id, fleet.DeleteSnapshot, "before")
	s.wantNotMoved(id, fleet.CodeRefused) // there is no other host
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &unable{d} }
	s.restart()
	s.wantNotMoved(id, fleet.CodeUnsupported)
}

// An instance is offered by the agent of its host alone, and by nobody to a host
// that has it.
func TestOfferOfWhatIsNotTheAskersIsRefused(t *testing.T) {
	s := newSite(t, nil)
	other := fleet.HostID{7}
	move := fleet.Move{
		ID: fleet.OperationID(other, 4), Source: other, To: s.id, Generation: 2, Mark: []byte(`{}`), Request: proposal(2, 512).Request,
	}
	_, err := s.OfferMove(t.Context(), move)
	code(t, err, fleet.CodeForbidden)
	if report, err := s.MoveAt(t.Context(), move.ID); err != nil || report.State != fleet.MoveUnknown {
		t.Errorf("of the move it says %+v, %v", report, err)
	}
}
