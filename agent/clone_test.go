package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// clone asks for a clone of an instance under a key.
func (s *site) clone(of fleet.InstanceID, name, key string) (fleet.Accepted, error) {
	s.t.Helper()
	return s.CreateInstance(s.t.Context(), fleet.Create{Name: name, Source: of.String()}, client.CreateOptions{Key: key, Wait: patience})
}

// attached gives an instance a device and waits until it has it.
func (s *site) attached(id fleet.InstanceID, device fleet.AttachRequest) {
	s.t.Helper()
	accepted, err := s.ChangeDevice(s.t.Context(), id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: device}, patience)
	if err != nil || accepted.Instance.Fault != "" {
		s.t.Fatalf("attach: %v, %+v", err, accepted.Instance)
	}
}

// devicesOf lists an instance's devices by name.
func (s *site) devicesOf(id fleet.InstanceID) map[string]fleet.Device {
	s.t.Helper()
	list, err := s.Devices(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	byName := map[string]fleet.Device{}
	for _, d := range list.Items {
		byName[d.Name] = d
	}
	return byName
}

func TestCloneHasAllThatItsSourceHasButWhoItIs(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("of the source")
	s.attached(id, fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 3})
	if err := s.hypervisor.WriteDisk(id, "disk-1", 0, []byte("on the second")); err != nil {
		t.Fatal(err)
	}
	accepted, err := s.clone(id, "web-2", "")
	if err != nil {
		t.Fatal(err)
	}
	source, row := s.row(id), accepted.Instance
	if row.Power != fleet.PowerRunning || row.Fault != "" || row.Name != "web-2" || row.Resources() != source.Resources() || row.Image != source.Image ||
		row.Flavor != source.Flavor || row.Labels["tier"] != "front" || row.Project != source.Project {
		t.Errorf("the clone is %+v\nof %+v", row, source)
	}
	have, want := s.devicesOf(row.ID), s.devicesOf(id)
	if len(have) != len(want) || have["disk-0"] != want["disk-0"] || have["disk-1"] != want["disk-1"] {
		t.Errorf("the clone has %+v\nof %+v", have, want)
	}
	if mac := fleet.MACAddress(row.ID, 0); have[mac].Network != want[fleet.MACAddress(id, 0)].Network || have[mac].Kind != fleet.DeviceNIC {
		t.Errorf("the clone has %+v, want a card %s", have, mac)
	}
	if _, err := s.ActInstance(t.Context(), row.ID, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	if _, content := s.captured(row.ID, "check"); !strings.HasSuffix(string(content), "of the source") {
		t.Errorf("its disk holds %q", content)
	}
	if images, err := s.Images(t.Context()); err != nil || len(images.Items) != 2 {
		t.Errorf("images %+v, %v; want tiny and the one that was asked for", images.Items, err)
	}
}

func TestCloneIsMadeOnce(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	first, err := s.clone(id, "web-2", "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	again, err := s.clone(id, "web-2", "one") // the source runs by now, which is of no matter
	if err != nil || again.Instance.ID != first.Instance.ID {
		t.Errorf("again: %s, %v; want %s", again.Instance.ID, err, first.Instance.ID)
	}
	_, err = s.clone(id, "web-3", "one")
	code(t, err, fleet.CodeKeyReused)
	_, err = s.clone(id, "web-3", "two")
	code(t, err, fleet.CodeConflict)
	if n := len(s.hypervisor.Machines()); n != 2 {
		t.Errorf("%d machines, want 2", n)
	}
}

func TestCloneIsRefusedBeforeAnythingIsBegun(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "by-hand", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64, DiskGiB: 1}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is listed", func() bool { return s.row(foreign) != nil })
	for want, create := range map[fleet.Code]fleet.Create{
		fleet.CodeNotFound:    {Name: "a", Source: fleet.UUID{7}.String()},
		fleet.CodeNotManaged:  {Name: "a", Source: foreign.String()},
		fleet.CodeInvalid:     {Name: "a", Source: id.String(), Flavor: "nano"},
		fleet.CodeUnsupported: {Name: "a", Source: s.adopted().String()},
	} {
		_, err := s.CreateInstance(t.Context(), create, client.CreateOptions{})
		code(t, err, want)
	}
	if n := len(s.hypervisor.Machines()); n != 3 {
		t.Errorf("%d machines, want 3", n)
	}
}

// adopted makes a machine by hand and adopts it.
func (s *site) adopted() fleet.InstanceID {
	s.t.Helper()
	id, err := s.hypervisor.Define(simulated.Foreign{Name: "found", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64, DiskGiB: 1}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.until("it is listed", func() bool { return s.row(id) != nil })
	if _, err := s.ActInstance(s.t.Context(), id, fleet.Adopt, client.ActOptions{Wait: patience}); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// slow is a hypervisor that builds when it is let.
type slow struct {
	*simulated.Driver
	begun chan struct{}
}

func (s *slow) Build(ctx context.Context, spec drivers.Spec) error {
	select {
	case s.begun <- struct{}{}:
		<-ctx.Done()
		return ctx.Err()
	default:
		return s.Driver.Build(ctx, spec)
	}
}

func TestSourceIsLeftAloneWhileItIsCloned(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	begun := make(chan struct{}, 1)
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &slow{d, begun} }
	s.restart()
	accepted, err := s.CreateInstance(t.Context(), fleet.Create{Name: "web-2", Source: id.String()}, client.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the build has begun", func() bool { return len(begun) == 1 })
	_, err = s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{})
	code(t, err, fleet.CodeBusy)
	_, err = s.DeleteInstance(t.Context(), id, 0)
	code(t, err, fleet.CodeBusy)
	s.restart() // and is done after that
	s.running(accepted.Instance.ID)
	if _, err := s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{Wait: patience}); err != nil {
		t.Errorf("start the source afterwards: %v", err)
	}
}

func TestFurtherDiskIsMadeOfAnImage(t *testing.T) {
	s := newSite(t, nil)
	image, _ := tiny()
	accepted, err := s.CreateInstance(t.Context(), fleet.Create{
		Name: "web", Flavor: "nano", Image: "tiny", Disks: []fleet.Disk{{SizeGiB: 2}, {Image: "tiny"}},
	}, client.CreateOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	row := accepted.Instance
	if devices := s.devicesOf(row.ID); row.Fault != "" || devices["disk-1"].SizeGiB != 2 || devices["disk-2"].SizeGiB != image.DiskGiB() {
		t.Errorf("row %+v, devices %+v", row, devices)
	}
}

// forgetful tells what a machine has when it is first asked, and never again.
type forgetful struct {
	*simulated.Driver
	asked atomic.Int32
}

func (f *forgetful) Devices(ctx context.Context, id fleet.InstanceID) ([]fleet.Device, error) {
	if f.asked.Add(1) > 1 {
		return nil, errors.New("the list is gone")
	}
	return f.Driver.Devices(ctx, id)
}

func TestCloneFailsWhoseSourceCannotBeReadAnyMore(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	s.stop()
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &forgetful{Driver: d} }
	s.start()
	accepted, err := s.clone(id, "web-2", "one")
	if err != nil || !strings.Contains(accepted.Instance.Fault, "the list is gone") {
		t.Fatalf("the clone is %+v, %v; want one that failed because its source was not read", accepted.Instance, err)
	}
	if _, err := s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{Wait: patience}); err != nil {
		t.Errorf("its source is not let go: %v", err)
	}
}
