package agent_test

import (
	"context"
	"sync"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// change asks for a change of a snapshot and waits until it is done.
func (s *site) change(id fleet.InstanceID, verb fleet.SnapshotVerb, name string) fleet.Instance {
	s.t.Helper()
	accepted, err := s.ChangeSnapshot(s.t.Context(), id, fleet.SnapshotChange{Verb: verb, Name: name}, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	if row := accepted.Instance; row.Task != fleet.TaskNone || row.Fault != "" {
		s.t.Fatalf("%s %s: the row is %+v", verb, name, row)
	}
	return accepted.Instance
}

func (s *site) snapshotNames(id fleet.InstanceID) []string {
	s.t.Helper()
	list, err := s.Snapshots(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	names := []string{}
	for _, snapshot := range list.Items {
		names = append(names, snapshot.Name)
	}
	return names
}

// built makes a running instance.
func (s *site) built() fleet.InstanceID {
	s.t.Helper()
	p := proposal(1, 512)
	if _, err := s.Claim(s.t.Context(), p); err != nil {
		s.t.Fatal(err)
	}
	return s.running(p.ID).ID
}

func TestSnapshotLife(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	s.change(id, fleet.TakeSnapshot, "fresh")
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	s.change(id, fleet.TakeSnapshot, "down")
	if row := s.change(id, fleet.RevertSnapshot, "fresh"); row.Power != fleet.PowerRunning || row.Ownership != fleet.Managed {
		t.Errorf("after the revert it is %s and %s, want running and managed", row.Power, row.Ownership)
	}
	if names := s.snapshotNames(id); len(names) != 2 {
		t.Errorf("it has the snapshots %v, want both", names)
	}
	s.change(id, fleet.DeleteSnapshot, "fresh")
	if names := s.snapshotNames(id); len(names) != 1 || names[0] != "down" {
		t.Errorf("it has the snapshots %v, want down alone", names)
	}
}

func TestSnapshotThatDoesNotFitIsRefusedAtOnce(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	s.change(id, fleet.TakeSnapshot, "one")
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "by-hand", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(foreign) != nil })
	for _, c := range []struct {
		id   fleet.InstanceID
		verb fleet.SnapshotVerb
		name string
		want fleet.Code
	}{
		{id, fleet.TakeSnapshot, "one", fleet.CodeConflict},
		{id, fleet.TakeSnapshot, "", fleet.CodeInvalid},
		{id, fleet.TakeSnapshot, "a/b", fleet.CodeInvalid},
		{id, fleet.RevertSnapshot, "two", fleet.CodeNotFound},
		{id, fleet.DeleteSnapshot, "two", fleet.CodeNotFound},
		{foreign, fleet.TakeSnapshot, "mine", fleet.CodeNotManaged},
		{fleet.UUID{7}, fleet.TakeSnapshot, "mine", fleet.CodeNotFound},
	} {
		_, err := s.ChangeSnapshot(t.Context(), c.id, fleet.SnapshotChange{Verb: c.verb, Name: c.name}, 0)
		code(t, err, c.want)
	}
	if row := s.row(id); row.Fault != "" || row.Task != fleet.TaskNone {
		t.Errorf("what was refused shows in the row: %+v", row)
	}
	if names := s.snapshotNames(foreign); len(names) != 0 {
		t.Errorf("the foreign machine has the snapshots %v", names)
	}
}

// interrupted is a driver that reverts a machine and then is not there any
// more to write its mark, the first time.
type interrupted struct {
	*simulated.Driver
	once    sync.Once
	stopped chan struct{}
}

func (d *interrupted) RevertSnapshot(ctx context.Context, id fleet.InstanceID, name string, mark drivers.Mark) error {
	first := false
	d.once.Do(func() { first = true })
	if !first {
		return d.Driver.RevertSnapshot(ctx, id, name, mark)
	}
	if err := d.Driver.RevertSnapshot(ctx, id, name, drivers.Mark{ID: id, Name: "as it was then"}); err != nil {
		return err
	}
	close(d.stopped)
	<-ctx.Done()
	return ctx.Err()
}

func TestRevertCutShortIsDoneAgainWithTheMarkFromBefore(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	s.change(id, fleet.TakeSnapshot, "fresh")
	broken := &interrupted{stopped: make(chan struct{})}
	s.wrap = func(d *simulated.Driver) drivers.Driver { broken.Driver = d; return broken }
	s.restart()
	if _, err := s.ChangeSnapshot(t.Context(), id, fleet.SnapshotChange{Verb: fleet.RevertSnapshot, Name: "fresh"}, 0); err != nil {
		t.Fatal(err)
	}
	<-broken.stopped
	s.restart()
	if row := s.running(id); row.Name != "web" || row.Project != "default" {
		t.Errorf("after the restart it is %s of project %s, want its own name", row.Name, row.Project)
	}
}

func TestHostWithoutSnapshotsSaysSo(t *testing.T) {
	s := newSiteOn(t, simulated.Config{Hypervisor: fleet.Xen, Hardware: "board-1", Resources: fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 100}}, nil)
	id := s.built()
	_, err := s.ChangeSnapshot(t.Context(), id, fleet.SnapshotChange{Verb: fleet.TakeSnapshot, Name: "one"}, 0)
	code(t, err, fleet.CodeUnsupported)
	_, err = s.Snapshots(t.Context(), id)
	code(t, err, fleet.CodeUnsupported)
	if host := s.host(); host.HasTrait(string(drivers.FeatureSnapshot)) {
		t.Error("the host's traits promise snapshots")
	}
}
