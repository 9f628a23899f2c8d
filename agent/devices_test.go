package agent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// changeDevice asks for a change of a device and waits until it is done.
func (s *site) changeDevice(id fleet.InstanceID, change fleet.DeviceChange) fleet.Instance {
	s.t.Helper()
	accepted, err := s.ChangeDevice(s.t.Context(), id, change, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	if row := accepted.Instance; row.Task != fleet.TaskNone || row.Fault != "" {
		s.t.Fatalf("%s: the row is %+v", change.Verb, row)
	}
	return accepted.Instance
}

func (s *site) wantDevices(id fleet.InstanceID, want ...fleet.Device) {
	s.t.Helper()
	list, err := s.Devices(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(want, list.Items); diff != "" {
		s.t.Errorf("devices (-want +got):\n%s", diff)
	}
}

func attachDisk(gib int64) fleet.DeviceChange {
	return fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: gib}}
}

func disk(name string, gib int64) fleet.Device {
	return fleet.Device{Kind: fleet.DeviceDisk, Name: name, SizeGiB: gib}
}

// equipped makes a running instance with a first disk of 10 GiB, a further one
// of 2 and no card.
func (s *site) equipped() fleet.InstanceID {
	s.t.Helper()
	p := proposal(1, 512)
	p.DiskGiB, p.Disks = 12, []fleet.Disk{{SizeGiB: 2}}
	p.Networks = []fleet.NIC{{Network: fleet.NoNetwork}}
	if _, err := s.Claim(s.t.Context(), p); err != nil {
		s.t.Fatal(err)
	}
	return s.running(p.ID).ID
}

func TestDevicesComeAndGo(t *testing.T) {
	s := newSite(t, nil)
	id := s.equipped()
	s.wantDevices(id, disk("disk-0", 10), disk("disk-1", 2))

	if row := s.changeDevice(id, attachDisk(5)); row.DiskGiB != 17 {
		t.Errorf("with the new disk it has %d GiB, want 17", row.DiskGiB)
	}
	s.changeDevice(id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceNIC, Network: "default"}})
	card := fleet.Device{Kind: fleet.DeviceNIC, Name: fleet.MACAddress(id, 0), Network: "default"}
	s.wantDevices(id, disk("disk-0", 10), disk("disk-1", 2), disk("disk-2", 5), card)

	grow := fleet.DeviceChange{Verb: fleet.GrowDisk, Name: "disk-1", Device: fleet.AttachRequest{SizeGiB: 4}}
	if row := s.changeDevice(id, grow); row.DiskGiB != 19 {
		t.Errorf("with the larger disk it has %d GiB, want 19", row.DiskGiB)
	}
	s.changeDevice(id, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "disk-2"})
	s.changeDevice(id, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: card.Name})
	s.wantDevices(id, disk("disk-0", 10), disk("disk-1", 4))
	if got := s.host().Capacity.DiskGiB.Allocated; got != 14 {
		t.Errorf("the host gives out %d GiB, want 14", got)
	}
}

func TestDeviceThatDoesNotFitIsRefusedAtOnce(t *testing.T) {
	s := newSite(t, nil)
	id := s.equipped()
	_, err := s.agent.ChangeDevice(t.Context(), id, attachDisk(1<<19))
	code(t, err, fleet.CodeRefused) // more than the host has
	s.change(id, fleet.TakeSnapshot, "one")
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "by-hand", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(foreign) != nil })
	nic := func(n fleet.NIC) fleet.DeviceChange {
		return fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceNIC, Network: n.Network}}
	}
	for name, c := range map[string]struct {
		id     fleet.InstanceID
		change fleet.DeviceChange
		want   fleet.Code
	}{
		"one more with snapshots": {id, attachDisk(1), fleet.CodeConflict},
		"no size":                 {id, attachDisk(0), fleet.CodeInvalid},
		"a network nobody has":    {id, nic(fleet.NIC{Network: "nowhere"}), fleet.CodeInvalid},
		"no network card":         {id, nic(fleet.NIC{Network: fleet.NoNetwork}), fleet.CodeInvalid},
		"the first disk":          {id, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "disk-0"}, fleet.CodeConflict},
		"a disk with snapshots":   {id, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "disk-1"}, fleet.CodeConflict},
		"growth with snapshots":   {id, fleet.DeviceChange{Verb: fleet.GrowDisk, Name: "disk-1", Device: fleet.AttachRequest{SizeGiB: 9}}, fleet.CodeConflict},
		"a device that is not":    {id, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "disk-7"}, fleet.CodeNotFound},
		"an image that is not":    {id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceISO, Image: "nowhere"}}, fleet.CodeUnknownImage},
		"an image that is no ISO": {id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceISO, Image: "tiny"}}, fleet.CodeInvalid},
		"somebody else's machine": {foreign, attachDisk(1), fleet.CodeNotManaged},
		"an instance that is not": {fleet.UUID{9, 9}, attachDisk(1), fleet.CodeNotFound},
		"two kinds in one":        {id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 1, Image: "x"}}, fleet.CodeInvalid},
		"a verb from somewhere":   {id, fleet.DeviceChange{Verb: "melt", Name: "disk-1"}, fleet.CodeInvalid},
		"a kind that nobody has":  {id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: "gpu"}}, fleet.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.agent.ChangeDevice(t.Context(), c.id, c.change)
			code(t, err, c.want)
		})
	}
	s.wantDevices(id, disk("disk-0", 10), disk("disk-1", 2))
}

// A disk that was promised is attached once, whatever became of the agent.
func TestAttachOutlivesTheAgent(t *testing.T) {
	s := newSite(t, nil)
	id := s.equipped()
	slow := simulated.DefaultLatency()
	slow.Call = 300 * time.Millisecond
	s.hypervisor.SetLatency(slow)
	if _, err := s.ChangeDevice(t.Context(), id, attachDisk(3), 0); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.hypervisor.SetLatency(simulated.DefaultLatency())
	s.start()
	s.until("the disk is attached", func() bool { r := s.row(id); return r != nil && r.Task == fleet.TaskNone && r.DiskGiB == 15 })
	s.wantDevices(id, disk("disk-0", 10), disk("disk-1", 2), disk("disk-2", 3))
}

func TestResizeLeavesFurtherDisks(t *testing.T) {
	s := newSite(t, nil)
	id := s.equipped()
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	size := fleet.Size{Flavor: "large", Resources: fleet.Resources{VCPUs: 2, MemoryMiB: 1024, DiskGiB: 20}}
	if _, err := s.SetSize(t.Context(), id, size); err != nil {
		t.Fatal(err)
	}
	s.until("it is larger", func() bool { r := s.row(id); return r.Task == fleet.TaskNone && r.DiskGiB == 22 })
	s.wantDevices(id, disk("disk-0", 20), disk("disk-1", 2))
}

func TestInstanceIsBuiltAsItWasAskedFor(t *testing.T) {
	s := newSiteOn(t, simulated.Config{Networks: []string{"default", "dmz"}}, nil)
	p := proposal(1, 512)
	p.DiskGiB = 4
	p.Networks = []fleet.NIC{{Network: "dmz", VLAN: 7}, {Network: "default", MAC: "0e:00:00:00:00:01"}}
	p.Guest = fleet.Guest{Hostname: "web", UserData: "#cloud-config\n"}
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	first := fleet.Device{Kind: fleet.DeviceNIC, Name: fleet.MACAddress(p.ID, 0), Network: "dmz", VLAN: 7}
	s.wantDevices(p.ID, disk("disk-0", 4), first, fleet.Device{Kind: fleet.DeviceNIC, Name: "0e:00:00:00:00:01", Network: "default"})
	if diff := cmp.Diff(p.Guest, s.hypervisor.Guest(p.ID)); diff != "" {
		t.Errorf("what cloud-init finds (-want +got):\n%s", diff)
	}
	if got := s.host().Networks; !cmp.Equal(got, []string{"default", "dmz"}) {
		t.Errorf("the host's networks are %q", got)
	}

	p = proposal(2, 512)
	p.Networks = []fleet.NIC{{Network: "nowhere"}}
	_, err := s.Claim(t.Context(), p)
	code(t, err, fleet.CodeRefused)
}

// What the hypervisor does not do to a machine that runs is refused at once,
// and done once it has stopped.
func TestDiskOfARunningInstanceDoesNotGrowOnXen(t *testing.T) {
	s := newSiteOn(t, simulated.Config{Hypervisor: fleet.Xen}, nil)
	id := s.equipped()
	grow := fleet.DeviceChange{Verb: fleet.GrowDisk, Name: "disk-1", Device: fleet.AttachRequest{SizeGiB: 4}}
	_, err := s.agent.ChangeDevice(t.Context(), id, grow)
	code(t, err, fleet.CodeUnsupported)
	if row := s.row(id); row.Fault != "" || row.DiskGiB != 12 {
		t.Errorf("after the refusal the row is %+v", row)
	}
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	if row := s.changeDevice(id, grow); row.DiskGiB != 14 {
		t.Errorf("with the larger disk it has %d GiB, want 14", row.DiskGiB)
	}
}
