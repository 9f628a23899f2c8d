package drivertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// keeper is the driver with its devices.
func (k *kit) keeper() drivers.DeviceKeeper { return ability[drivers.DeviceKeeper](k) }

// devices lists a machine's devices, without seeds, which are CDs that only
// some hypervisors need.
func (k *kit) devices(id fleet.InstanceID) []fleet.Device {
	k.Helper()
	list, err := k.keeper().Devices(k.Context(), id)
	k.must(err)
	return slices.DeleteFunc(list, func(d fleet.Device) bool { return d.Kind == fleet.DeviceISO && d.Image == "" })
}

func (k *kit) wantDevices(id fleet.InstanceID, want ...fleet.Device) {
	k.Helper()
	if diff := cmp.Diff(want, k.devices(id)); diff != "" {
		k.Errorf("devices (-want +got):\n%s", diff)
	}
}

// wantDisk checks what the listing says of all disks together.
func (k *kit) wantDisk(id fleet.InstanceID, gib int64) {
	k.Helper()
	m, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	if m.Resources.DiskGiB != gib {
		k.Errorf("the machine is listed with %d GiB of disk, want %d", m.Resources.DiskGiB, gib)
	}
}

// network is one that the host has; the case is skipped where it has none.
func (k *kit) network() string {
	k.Helper()
	desc, err := k.d.Describe(k.Context())
	k.must(err)
	if len(desc.Networks) == 0 {
		k.Skip("the host has no network")
	}
	return desc.Networks[0]
}

// disked is a machine to build with a first disk of at least 1 GiB, and that
// disk as it is listed.
func (k *kit) disked(name string) (drivers.Spec, fleet.Device) {
	k.Helper()
	spec := k.spec(name)
	spec.Resources.DiskGiB = max(spec.DiskGiB(), 1)
	spec.Mark.DiskGiB = spec.Resources.DiskGiB
	return spec, disk(0, spec.Resources.DiskGiB)
}

func disk(n int, gib int64) fleet.Device {
	return fleet.Device{Kind: fleet.DeviceDisk, Name: drivers.DiskName(n), SizeGiB: gib}
}

func nic(card fleet.NIC) fleet.Device {
	return fleet.Device{Kind: fleet.DeviceNIC, Name: card.MAC, Network: card.Network, VLAN: card.VLAN}
}

func builtHasItsDevices(k *kit) {
	network := k.network()
	spec, first := k.disked("with devices")
	spec.Disks = []fleet.Disk{{SizeGiB: 2}, {SizeGiB: 1}}
	spec.Guest = k.seeded() // a seed is none of its devices, and takes nothing
	spec.Cards = fleet.Cards(spec.Mark.ID, []fleet.NIC{{Network: network}, {Network: network, MAC: "02:00:00:00:00:01"}})
	slices.SortFunc(spec.Cards, func(a, b fleet.NIC) int { return bytes.Compare([]byte(a.MAC), []byte(b.MAC)) })
	k.must(k.d.Build(k.Context(), spec))
	k.wantDevices(spec.Mark.ID, first, disk(1, 2), disk(2, 1), nic(spec.Cards[0]), nic(spec.Cards[1]))
	k.wantDisk(spec.Mark.ID, first.SizeGiB+3)
	k.act(spec.Mark.ID, fleet.Start)
	k.wantPower(spec.Mark.ID, fleet.PowerRunning)
}

func missingNetworkIsRefused(k *kit) {
	spec := k.spec("nowhere")
	before := k.storage()
	spec.Cards = fleet.Cards(spec.Mark.ID, []fleet.NIC{{Network: "no such network"}})
	if err := k.d.Build(k.Context(), spec); err == nil {
		k.Error("a machine was built on a network that is not there")
	}
	if n := k.count(spec.Mark.ID); n != 0 {
		k.Errorf("%d machines after a failed build", n)
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("the failed build left something:\n%s", diff)
	}
}

func diskComesAndGoes(k *kit) {
	spec, first := k.disked("one more")
	k.must(k.d.Build(k.Context(), spec))
	id := spec.Mark.ID
	before := k.storage()
	more := drivers.Attachment{Kind: fleet.DeviceDisk, Name: drivers.DiskName(1), SizeGiB: 2}
	for range 2 { // what is there is not attached again
		k.must(k.keeper().AttachDevice(k.Context(), id, more))
	}
	k.wantDevices(id, first, disk(1, 2))
	k.wantDisk(id, first.SizeGiB+2)
	k.act(id, fleet.Start) // with the disk, or the disk is not right
	k.act(id, fleet.Stop)
	for range 2 { // what is not there need not be detached
		k.must(k.keeper().DetachDevice(k.Context(), id, more.Name))
	}
	k.wantDevices(id, first)
	k.wantDisk(id, first.SizeGiB)
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("the detached disk left something:\n%s", diff)
	}
}

func firstDiskStays(k *kit) {
	spec, first := k.disked("its own")
	k.must(k.d.Build(k.Context(), spec))
	if err := k.keeper().DetachDevice(k.Context(), spec.Mark.ID, first.Name); !errors.Is(err, drivers.ErrFirstDisk) {
		k.Errorf("detach the first disk: got %v, want ErrFirstDisk", err)
	}
	k.wantDevices(spec.Mark.ID, first)
}

func diskGrows(k *kit) {
	spec, first := k.disked("growing")
	spec.Disks = []fleet.Disk{{SizeGiB: 1}}
	k.must(k.d.Build(k.Context(), spec))
	id := spec.Mark.ID
	for range 2 {
		k.must(k.keeper().GrowDisk(k.Context(), id, drivers.DiskName(1), 3))
	}
	k.wantDevices(id, first, disk(1, 3))
	k.wantDisk(id, first.SizeGiB+3)
	if err := k.keeper().GrowDisk(k.Context(), id, drivers.DiskName(1), 2); err == nil {
		k.Error("a disk shrank")
	}
	if err := k.keeper().GrowDisk(k.Context(), id, drivers.DiskName(7), 4); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("grow a disk that is not there: got %v, want ErrNotFound", err)
	}
	k.wantDevices(id, first, disk(1, 3))
	k.act(id, fleet.Start)
	err := k.keeper().GrowDisk(k.Context(), id, drivers.DiskName(1), 4)
	if k.has(drivers.FeatureGrowRunning) {
		k.must(err)
		k.wantDevices(id, first, disk(1, 4))
		return
	}
	if !errors.Is(err, drivers.ErrUnsupported) {
		k.Errorf("grow a disk of a running machine: got %v, want ErrUnsupported", err)
	}
	k.wantDevices(id, first, disk(1, 3))
}

func cardComesAndGoes(k *kit) {
	network := k.network()
	spec, first := k.disked("plugged")
	k.must(k.d.Build(k.Context(), spec))
	id := spec.Mark.ID
	card := fleet.NIC{Network: network, MAC: fleet.MACAddress(id, 1)}
	for range 2 {
		k.must(k.keeper().AttachDevice(k.Context(), id, drivers.Attachment{Kind: fleet.DeviceNIC, Name: card.MAC, NIC: card}))
	}
	k.wantDevices(id, first, nic(card))
	for range 2 {
		k.must(k.keeper().DetachDevice(k.Context(), id, card.MAC))
	}
	k.wantDevices(id, first)
}

// runningTakesDevices attaches to a running machine, and detaches again what
// its guest lets go of.
func runningTakesDevices(k *kit) {
	network := k.network()
	spec, first := k.disked("hot")
	k.must(k.d.Build(k.Context(), spec))
	id := spec.Mark.ID
	k.act(id, fleet.Start)
	k.print(id, "the guest is up\n")
	k.awaitGuest(id)
	card := fleet.NIC{Network: network, MAC: fleet.MACAddress(id, 1)}
	k.must(k.keeper().AttachDevice(k.Context(), id, drivers.Attachment{Kind: fleet.DeviceDisk, Name: drivers.DiskName(1), SizeGiB: 1}))
	k.must(k.keeper().AttachDevice(k.Context(), id, drivers.Attachment{Kind: fleet.DeviceNIC, Name: card.MAC, NIC: card}))
	k.wantDevices(id, first, disk(1, 1), nic(card))
	k.wantPower(id, fleet.PowerRunning)
	if k.has(drivers.FeatureBootISO) {
		cd := drivers.Attachment{Kind: fleet.DeviceISO, Name: drivers.ISOName(0), Image: k.iso().ID}
		k.must(k.keeper().AttachDevice(k.Context(), id, cd))
		k.wantDevices(id, first, disk(1, 1), nic(card), fleet.Device{Kind: fleet.DeviceISO, Name: cd.Name, Image: cd.Image})
		k.must(k.keeper().DetachDevice(k.Context(), id, cd.Name))
	}
	k.must(k.keeper().DetachDevice(k.Context(), id, drivers.DiskName(1)))
	k.must(k.keeper().DetachDevice(k.Context(), id, card.MAC))
	k.wantDevices(id, first)
	k.wantPower(id, fleet.PowerRunning)

	k.must(k.keeper().AttachDevice(k.Context(), id, drivers.Attachment{Kind: fleet.DeviceDisk, Name: drivers.DiskName(1), SizeGiB: 1}))
	k.act(id, fleet.Stop)
	k.wantDevices(id, first, disk(1, 1)) // it outlives the power
}

// awaitGuest waits until the guest has printed something, where that can be
// read: one that has not come up lets go of nothing.
func (k *kit) awaitGuest(id fleet.InstanceID) {
	k.Helper()
	if log, ok := k.d.(drivers.ConsoleLogger); ok {
		k.eventually("the guest prints", func() bool { return k.printed(log, id, 0) != "" })
	}
}

// iso imports an image of an ISO, which need not be a good one.
func (k *kit) iso() fleet.Image {
	k.Helper()
	content := bytes.Repeat([]byte("what an installer's CD holds\n"), 4096)
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: fleet.RoleISO, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
	im := fleet.Image{ID: f.SHA256, Name: "installer", Files: []fleet.ImageFile{f}, Bytes: f.Bytes, CreatedAt: time.Unix(1700000000, 0).UTC()}
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
	k.Cleanup(func() {
		ctx, cancel := k.clean()
		defer cancel()
		if err := k.images().RemoveImage(ctx, im.ID); err != nil {
			k.Errorf("clean up image: %v", err)
		}
	})
	return im
}

func isoComesAndGoes(k *kit) {
	im := k.iso()
	spec, first := k.disked("with a CD")
	k.must(k.d.Build(k.Context(), spec))
	id := spec.Mark.ID
	held := k.storage()
	cd := drivers.Attachment{Kind: fleet.DeviceISO, Image: im.ID}
	cd.Name = drivers.FreeDeviceName(k.allDevices(id), &fleet.AttachRequest{Kind: fleet.DeviceISO})
	for range 2 {
		k.must(k.keeper().AttachDevice(k.Context(), id, cd))
	}
	k.wantDevices(id, first, fleet.Device{Kind: fleet.DeviceISO, Name: cd.Name, Image: im.ID})
	k.act(id, fleet.Start)
	k.act(id, fleet.Stop)
	for range 2 {
		k.must(k.keeper().DetachDevice(k.Context(), id, cd.Name))
	}
	k.wantDevices(id, first)
	if diff := cmp.Diff(held, k.storage()); diff != "" {
		k.Errorf("attaching and detaching a CD changed the storage:\n%s", diff)
	}
}

func (k *kit) allDevices(id fleet.InstanceID) []fleet.Device {
	k.Helper()
	list, err := k.keeper().Devices(k.Context(), id)
	k.must(err)
	return list
}

func isoBoots(k *kit) {
	im := k.iso()
	spec, first := k.disked("installed from a CD")
	spec.Image, spec.Mark.Image = im, im.ID
	k.must(k.d.Build(k.Context(), spec))
	k.wantDevices(spec.Mark.ID, first, fleet.Device{Kind: fleet.DeviceISO, Name: drivers.ISOName(0), Image: im.ID})
	k.act(spec.Mark.ID, fleet.Start)
	k.wantPower(spec.Mark.ID, fleet.PowerRunning)
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	k.iso() // it is still there, or is taken in again
}

func uefiBuilds(k *kit) {
	im := k.iso()
	spec, first := k.disked("new firmware")
	spec.Image, spec.Mark.Image, spec.Firmware = im, im.ID, fleet.UEFI
	before := k.storage()
	k.must(k.d.Build(k.Context(), spec))
	k.act(spec.Mark.ID, fleet.Start)
	k.wantPower(spec.Mark.ID, fleet.PowerRunning)
	k.act(spec.Mark.ID, fleet.Stop)
	if got := k.devices(spec.Mark.ID); len(got) == 0 || got[0] != first {
		k.Errorf("devices are %+v, want the first disk before others", got)
	}
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("delete left something, perhaps the firmware's variables:\n%s", diff)
	}
}

func vlanIsKept(k *kit) {
	network := k.network()
	spec, first := k.disked("tagged")
	spec.Cards = fleet.Cards(spec.Mark.ID, []fleet.NIC{{Network: network, VLAN: 12}})
	k.must(k.d.Build(k.Context(), spec))
	k.wantDevices(spec.Mark.ID, first, nic(spec.Cards[0]))
}

func deleteRemovesFurtherDisks(k *kit) {
	spec, _ := k.disked("doomed with disks")
	before := k.storage()
	spec.Disks = []fleet.Disk{{SizeGiB: 1}}
	k.must(k.d.Build(k.Context(), spec))
	k.must(k.keeper().AttachDevice(k.Context(), spec.Mark.ID, drivers.Attachment{Kind: fleet.DeviceDisk, Name: drivers.DiskName(2), SizeGiB: 1}))
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("delete left something:\n%s", diff)
	}
}

func foreignDevices(k *kit) {
	id := k.define("somebody's")
	before := k.devices(id)
	for what, err := range map[string]error{
		"attach": k.keeper().AttachDevice(k.Context(), id, drivers.Attachment{Kind: fleet.DeviceDisk, Name: drivers.DiskName(9), SizeGiB: 1}),
		"detach": k.keeper().DetachDevice(k.Context(), id, drivers.DiskName(9)),
		"grow":   k.keeper().GrowDisk(k.Context(), id, drivers.DiskName(0), 100),
	} {
		if !errors.Is(err, drivers.ErrForeign) {
			k.Errorf("%s: got %v, want ErrForeign", what, err)
		}
	}
	k.wantDevices(id, before...)
	if _, err := k.keeper().Devices(k.Context(), newID()); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("devices of a machine that is not there: got %v, want ErrNotFound", err)
	}
}

func resizeKeepsFurtherDisks(k *kit) {
	spec, first := k.disked("larger at the front")
	spec.Disks = []fleet.Disk{{SizeGiB: 2}}
	k.must(k.d.Build(k.Context(), spec))
	size, mark := spec.Resources, spec.Mark
	size.DiskGiB = first.SizeGiB + 1 + 2
	mark.DiskGiB = first.SizeGiB + 1
	k.must(ability[drivers.Resizer](k).Resize(k.Context(), spec.Mark.ID, size, mark))
	k.wantDevices(spec.Mark.ID, disk(0, first.SizeGiB+1), disk(1, 2))
	k.wantDisk(spec.Mark.ID, size.DiskGiB)
}
