package drivertest

import (
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"grapevine/drivers"
	"grapevine/fleet"
)

// The steps of a sequence that change a machine's devices: its further disks and
// its cards. They are those of a stopped machine, as a running guest need not
// let go of one, without snapshots, which bring back what they have.

// fitted draws a machine that takes devices.
func (s *sequence) fitted() (string, *modelled) {
	return s.there(func(m *modelled) bool {
		return m.built && m.mark != nil && !m.rescued() && m.power == fleet.PowerStopped && len(m.pasts) == 0 && m.size.DiskGiB > 0
	})
}

// device draws one, by the name that it has where it is there.
func (s *sequence) device(id fleet.InstanceID) drivers.Attachment {
	if s.network != "" && rapid.Bool().Draw(s.T, "card") {
		card := fleet.NIC{Network: s.network, MAC: fleet.MACAddress(id, rapid.IntRange(1, 2).Draw(s.T, "number"))}
		return drivers.Attachment{Kind: fleet.DeviceNIC, Name: card.MAC, NIC: card}
	}
	return drivers.Attachment{
		Kind: fleet.DeviceDisk, Name: drivers.DiskName(rapid.IntRange(1, 2).Draw(s.T, "number")), SizeGiB: rapid.Int64Range(1, 2).Draw(s.T, "gib"),
	}
}

func (s *sequence) attach() {
	name, m := s.fitted()
	device := s.device(m.id)
	s.did("attach to", name, nil, s.k.keeper().AttachDevice(s.k.Context(), m.id, device))
	m.attach(&device)
}

func (s *sequence) detach() {
	name, m := s.fitted()
	device := s.device(m.id).Name
	s.did("detach from", name, nil, s.k.keeper().DetachDevice(s.k.Context(), m.id, device))
	m.detach(device)
}

func (s *sequence) grow() {
	name, m := s.fitted()
	disk := drivers.DiskName(rapid.IntRange(1, 2).Draw(s.T, "number"))
	gib := rapid.Int64Range(1, 3).Draw(s.T, "gib")
	s.did("grow a disk of", name, m.grow(disk, gib), s.k.keeper().GrowDisk(s.k.Context(), m.id, disk, gib))
}

// fittings compares a machine's further devices with the model.
func (s *sequence) fittings(name string, m *modelled) {
	s.Helper()
	list, err := s.k.keeper().Devices(s.k.Context(), m.id)
	s.want("devices of "+name, err, nil)
	list = slices.DeleteFunc(list, func(d fleet.Device) bool { return d.Kind == fleet.DeviceISO || d.Name == drivers.DiskName(0) })
	if diff := cmp.Diff(m.fittings(), list, cmpopts.EquateEmpty()); diff != "" {
		s.Log(diff)
		s.Fatalf("the devices of %s differ", name)
	}
}

// attach gives a machine a device, unless it has one of that name.
func (one *modelled) attach(device *drivers.Attachment) {
	if _, ok := one.devices[device.Name]; ok {
		return
	}
	if one.devices == nil {
		one.devices = map[string]fleet.Device{}
	}
	one.devices[device.Name] = fleet.Device{Kind: device.Kind, Name: device.Name, SizeGiB: device.SizeGiB, Network: device.NIC.Network}
	one.size.DiskGiB += device.SizeGiB
}

func (one *modelled) detach(name string) {
	one.size.DiskGiB -= one.devices[name].SizeGiB
	delete(one.devices, name)
}

func (one *modelled) grow(name string, gib int64) error {
	device, ok := one.devices[name]
	switch {
	case !ok:
		return drivers.ErrNotFound
	case gib < device.SizeGiB:
		return errRefused
	}
	one.size.DiskGiB += gib - device.SizeGiB
	device.SizeGiB = gib
	one.devices[name] = device
	return nil
}

// fittings is what the driver must list.
func (one *modelled) fittings() []fleet.Device {
	list := slices.Collect(maps.Values(one.devices))
	drivers.OrderDevices(list)
	return list
}
