package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// imported imports another image, whose disk has so many GiB, and returns it.
func (s *site) imported(name string, gib int64) fleet.Image {
	s.t.Helper()
	content := []byte("the disk of " + name)
	sum := sha256.Sum256(content)
	file := fleet.ImageFile{
		Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "qcow2", VirtualBytes: gib << 30,
	}
	im := fleet.Image{ID: file.SHA256, Name: name, Files: []fleet.ImageFile{file}, Bytes: file.Bytes}
	if _, err := s.ImportImage(s.t.Context(), fleet.HostID{}, im, bytes.NewReader(content)); err != nil {
		s.t.Fatal(err)
	}
	return im
}

// rebuilt asks for a rebuild and waits until it is done.
func (s *site) rebuilt(id fleet.InstanceID, ask fleet.Rebuild) fleet.Instance {
	s.t.Helper()
	accepted, err := s.RebuildInstance(s.t.Context(), id, ask, client.KeyedOptions{Wait: patience})
	if err != nil {
		s.t.Fatal(err)
	}
	if row := accepted.Instance; row.Task != fleet.TaskNone || row.Fault != "" {
		s.t.Fatalf("rebuild: the row is %+v", row)
	}
	return accepted.Instance
}

func TestRebuildMakesTheInstanceAnewAndLeavesItAsItWas(t *testing.T) {
	s := newSite(t, nil)
	id, other := s.equipped(), s.imported("other", 2)
	was := s.row(id)
	row := s.rebuilt(id, fleet.Rebuild{Image: "other", Guest: fleet.Guest{Hostname: "anew"}})
	if row.Image != other.ID || row.Power != fleet.PowerRunning || row.Name != was.Name || row.DiskGiB != was.DiskGiB || row.MemoryMiB != was.MemoryMiB {
		t.Errorf("the row is %+v, want %+v with image %.12s, running", row, was, other.ID)
	}
	s.wantDevices(id, disk("disk-0", 10), disk("disk-1", 2))
	if got := s.hypervisor.Guest(id); got.Hostname != "anew" {
		t.Errorf("cloud-init is told %+v", got)
	}
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	row = s.rebuilt(id, fleet.Rebuild{}) // as it is: from the same image, with the same words
	if row.Image != other.ID || row.Power != fleet.PowerStopped {
		t.Errorf("the row is %+v, want it stopped, as it was", row)
	}
	if got := s.hypervisor.Guest(id); got.Hostname != "anew" {
		t.Errorf("cloud-init is told %+v, want what it was told before", got)
	}
	for _, m := range s.hypervisor.Machines() {
		if m.ID == id && m.Mark.Rebuilt != 2 {
			t.Errorf("its mark counts %d rebuilds, want 2", m.Mark.Rebuilt)
		}
	}
}

func TestRebuildThatDoesNotFitIsRefusedBeforeAnythingIsBegun(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	s.imported("large", 50)
	content := []byte("an installer")
	sum := sha256.Sum256(content)
	iso := fleet.Image{ID: hex.EncodeToString(sum[:]), Name: "installer", Bytes: int64(len(content))}
	iso.Files = []fleet.ImageFile{{Role: fleet.RoleISO, SHA256: iso.ID, Bytes: iso.Bytes}}
	if _, err := s.ImportImage(t.Context(), fleet.HostID{}, iso, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "by-hand", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(foreign) != nil })
	refused := func(what string, id fleet.InstanceID, ask fleet.Rebuild, want fleet.Code) {
		t.Helper()
		_, err := s.RebuildInstance(t.Context(), id, ask, client.KeyedOptions{})
		if got := fleet.CodeOf(err); got != want {
			t.Errorf("%s: got %v, want code %s", what, err, want)
		}
	}
	refused("an image that is larger than the disk", id, fleet.Rebuild{Image: "large"}, fleet.CodeInvalid)
	refused("an image nobody has", id, fleet.Rebuild{Image: "nowhere"}, fleet.CodeUnknownImage)
	refused("a CD", id, fleet.Rebuild{Image: iso.ID}, fleet.CodeUnsupported)
	refused("a foreign machine", foreign, fleet.Rebuild{}, fleet.CodeNotManaged)
	refused("no machine", fleet.UUID{7}, fleet.Rebuild{}, fleet.CodeNotFound)
	s.change(id, fleet.TakeSnapshot, "one")
	refused("one with snapshots", id, fleet.Rebuild{}, fleet.CodeConflict)
	s.change(id, fleet.DeleteSnapshot, "one")
	s.hypervisor.Maintain(true)
	s.until("the host is in maintenance", func() bool { return s.host().State == fleet.HostMaintenance })
	refused("what would not start again", id, fleet.Rebuild{}, fleet.CodeRefused)
	if row := s.row(id); row.Power != fleet.PowerRunning || row.Fault != "" {
		t.Errorf("what was refused shows in the row: %+v", row)
	}
	s.hypervisor.Maintain(false)
	if _, err := s.ActInstance(t.Context(), foreign, fleet.Adopt, client.ActOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	refused("an adopted machine", foreign, fleet.Rebuild{}, fleet.CodeUnsupported)
}

func TestRebuildThatFailsBringsTheMachineBackWithItsOldDisk(t *testing.T) {
	s := newSite(t, nil)
	id, _ := s.built(), s.imported("other", 1)
	was := s.row(id)
	s.hypervisor.FailNextBuild(simulated.BeforeFill)
	accepted, err := s.RebuildInstance(t.Context(), id, fleet.Rebuild{Image: "other"}, client.KeyedOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Fault == "" || row.Image != was.Image || row.Power != fleet.PowerRunning {
		t.Errorf("the row is %+v, want a fault, and it running with the image %.12s", row, was.Image)
	}
}

func TestRebuildIsTakenUpAgainAfterARestartAtAnyStep(t *testing.T) {
	for _, step := range []int{simulated.BeforeDisk, simulated.BeforeDefine, simulated.AfterDefine} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			s := newSite(t, nil)
			id, other := s.built(), s.imported("other", 1)
			gate := s.hypervisor.HoldNextBuild(step)
			defer gate.Release()
			accepted, err := s.RebuildInstance(t.Context(), id, fleet.Rebuild{Image: "other", Guest: fleet.Guest{Hostname: "anew"}}, client.KeyedOptions{})
			if err != nil {
				t.Fatal(err)
			}
			<-gate.Reached()
			if row := s.row(id); row.Task != fleet.TaskRebuilding {
				t.Errorf("its task is %q, want rebuilding", row.Task)
			}
			s.restart()
			s.until("the operation has ended", func() bool {
				op, err := s.Operation(t.Context(), accepted.Operation)
				return err == nil && op.State == fleet.OperationSucceeded
			})
			if row := s.running(id); row.Image != other.ID || row.Fault != "" {
				t.Errorf("the row is %+v, want it running from image %.12s", row, other.ID)
			}
			if got := s.hypervisor.Guest(id); got.Hostname != "anew" {
				t.Errorf("cloud-init is told %+v", got)
			}
		})
	}
}

// once is a driver that counts the rebuilds that it is asked for.
type once struct {
	*simulated.Driver
	mu    *sync.Mutex
	asked *int
}

func (d *once) Rebuild(ctx context.Context, id fleet.InstanceID, r drivers.Rebuild) error {
	d.mu.Lock()
	*d.asked++
	d.mu.Unlock()
	return d.Driver.Rebuild(ctx, id, r)
}

func TestRebuildWithAKeyIsDoneOnceHoweverOftenAsked(t *testing.T) {
	s := newSite(t, nil)
	id, _ := s.built(), s.imported("other", 1)
	var mu sync.Mutex
	asked := 0
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &once{d, &mu, &asked} }
	s.restart()
	ask, opts := fleet.Rebuild{Image: "other"}, client.KeyedOptions{Key: "once", Wait: patience}
	var operations []string
	for range 3 {
		accepted, err := s.RebuildInstance(t.Context(), id, ask, opts)
		if err != nil {
			t.Fatal(err)
		}
		operations = append(operations, accepted.Operation)
		s.restart() // the journal remembers
	}
	if operations[1] != operations[0] || operations[2] != operations[0] || asked != 1 {
		t.Errorf("operations %v, %d rebuilds; want one of each", operations, asked)
	}
	ask.Hostname = "another"
	_, err := s.RebuildInstance(t.Context(), id, ask, opts)
	code(t, err, fleet.CodeKeyReused)
}

func TestImageOfARebuildIsFetchedFromAnotherHost(t *testing.T) {
	holder := newSite(t, nil)
	first, second := holder.imported("first", 1), holder.imported("second", 1)
	s := holder.beside(2, "host-2")
	for _, im := range []fleet.Image{first, second} {
		s.sees(im.ID, 1)
	}
	p := of(4, first)
	s.claim(p)
	s.running(p.ID)
	if row := s.rebuilt(p.ID, fleet.Rebuild{Image: "second"}); row.Image != second.ID || row.Power != fleet.PowerRunning {
		t.Errorf("the row is %+v, want it running from image %.12s", row, second.ID)
	}
	if host := s.host(); !host.HoldsImage(second.ID) {
		t.Error("the host's row does not tell of the image that it was rebuilt from")
	}
}
