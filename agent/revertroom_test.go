package agent_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// onceLarge makes a stopped instance of 256 MiB with a snapshot of 3072 MiB.
func (s *site) onceLarge() fleet.InstanceID {
	s.t.Helper()
	id := s.stopped()
	s.resize(id, size("large", 1, 3072, 0))
	s.change(id, fleet.TakeSnapshot, "large")
	s.resize(id, size("lean", 1, 256, 0))
	return id
}

func (s *site) resize(id fleet.InstanceID, to fleet.Size) {
	s.t.Helper()
	if _, err := s.SetSize(s.t.Context(), id, to); err != nil {
		s.t.Fatal(err)
	}
	s.until("it has its size", func() bool {
		row := s.row(id)
		return row.Task == fleet.TaskNone && row.MemoryMiB == to.MemoryMiB
	})
}

func TestRevertToALargerSizeAsksForRoom(t *testing.T) {
	s := newSite(t, nil)
	id := s.onceLarge()
	other := proposal(2, 2048)
	if _, err := s.Claim(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	s.running(other.ID)
	revert := fleet.SnapshotChange{Verb: fleet.RevertSnapshot, Name: "large"}
	_, err := s.ChangeSnapshot(t.Context(), id, revert, patience)
	code(t, err, fleet.CodeRefused)
	if row := s.row(id); row.MemoryMiB != 256 || row.Task != fleet.TaskNone || row.Fault != "" {
		t.Errorf("after the refusal its row is %+v, want it as it was", row)
	}
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 256+2048 {
		t.Errorf("%d MiB are allocated after the refusal, want 2304", got)
	}
	if _, err := s.DeleteInstance(t.Context(), other.ID, patience); err != nil {
		t.Fatal(err)
	}
	s.until("the other is gone", func() bool { return s.row(other.ID) == nil })
	s.change(id, fleet.RevertSnapshot, "large")
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 3072 {
		t.Errorf("%d MiB are allocated after the revert, want 3072", got)
	}
}

// reverting is a driver whose reverts wait until the agent goes, the first time.
type reverting struct {
	*simulated.Driver
	once    sync.Once
	reached chan struct{}
}

func (d *reverting) RevertSnapshot(ctx context.Context, id fleet.InstanceID, name string, mark drivers.Mark) error {
	first := false
	d.once.Do(func() { first = true })
	if !first {
		return d.Driver.RevertSnapshot(ctx, id, name, mark)
	}
	close(d.reached)
	<-ctx.Done()
	return ctx.Err()
}

func TestRevertUnderWayIsAccountedForAlsoAfterARestart(t *testing.T) {
	s := newSite(t, nil)
	id := s.onceLarge()
	slow := &reverting{reached: make(chan struct{})}
	s.wrap = func(d *simulated.Driver) drivers.Driver { slow.Driver = d; return slow }
	s.restart()
	if _, err := s.ChangeSnapshot(t.Context(), id, fleet.SnapshotChange{Verb: fleet.RevertSnapshot, Name: "large"}, 0); err != nil {
		t.Fatal(err)
	}
	<-slow.reached
	if got := s.host().Capacity.MemoryMiB.Free; got != 1024 {
		t.Errorf("%d MiB are free while it reverts, want 1024", got)
	}
	_, err := s.Claim(t.Context(), proposal(2, 2048))
	code(t, err, fleet.CodeRefused)
	s.restart()
	s.until("it is as it was", func() bool {
		row := s.row(id)
		return row != nil && row.Task == fleet.TaskNone && row.MemoryMiB == 3072
	})
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 3072 {
		t.Errorf("%d MiB are allocated, want 3072", got)
	}
}

// snapless is a driver whose machines cannot have snapshots.
type snapless struct{ *simulated.Driver }

func (d *snapless) Snapshottable(context.Context, fleet.InstanceID) error {
	return fmt.Errorf("take snapshot of it: %w: its firmware keeps none", drivers.ErrUnsupported)
}

func TestMachineThatCannotHaveSnapshotsIsRefusedBeforeAnythingBegins(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &snapless{d} }
	s.restart()
	s.running(id)
	_, err := s.ChangeSnapshot(t.Context(), id, fleet.SnapshotChange{Verb: fleet.TakeSnapshot, Name: "one"}, patience)
	code(t, err, fleet.CodeUnsupported)
	if !strings.HasSuffix(err.Error(), "cannot have snapshots: its firmware keeps none") {
		t.Errorf("got %v, want why", err)
	}
	if row := s.row(id); row.Task != fleet.TaskNone || row.Fault != "" {
		t.Errorf("what was refused shows in the row: %+v", row)
	}
}
