package agent

import (
	"testing"
	"time"

	"grapevine/agent/journal"
	"grapevine/fleet"
)

func TestOperationHasNotEndedBeforeItsInstanceIsFree(t *testing.T) {
	ended := time.Now()
	id := fleet.InstanceID{7}
	under := &journal.Operation{Operation: fleet.Operation{ID: "this", Instance: id, State: fleet.OperationRunning}}
	s := &state{busy: map[fleet.InstanceID]*journal.Operation{id: under}}
	written := fleet.Operation{ID: "this", Instance: id, State: fleet.OperationFailed, Fault: "no room", EndedAt: &ended}
	earlier := fleet.Operation{ID: "earlier", Instance: id, State: fleet.OperationSucceeded, EndedAt: &ended}

	shown := written
	s.untilFree(&shown)
	if shown.State != fleet.OperationRunning || shown.EndedAt != nil || shown.Fault != "" {
		t.Errorf("the instance is busy with it, and it is shown as %+v", shown)
	}
	shown = earlier
	s.untilFree(&shown)
	if shown.State != fleet.OperationSucceeded {
		t.Errorf("an earlier operation is shown as %s", shown.State)
	}
	delete(s.busy, id)
	shown = written
	s.untilFree(&shown)
	if shown.State != fleet.OperationFailed || shown.Fault != "no room" {
		t.Errorf("the instance is free, and the operation is shown as %+v", shown)
	}
}
