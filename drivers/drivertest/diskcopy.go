package drivertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// copyOf is the spec of a machine whose disks begin as those of another.
func (k *kit) copyOf(of fleet.InstanceID, name string, further ...string) drivers.Spec {
	k.Helper()
	spec := k.spec(name)
	spec.Resources.DiskGiB = 1
	spec.Mark.DiskGiB = 1
	spec.Origins = []drivers.Origin{{Machine: of, Disk: "disk-0"}}
	for _, disk := range further {
		spec.Disks = append(spec.Disks, fleet.Disk{SizeGiB: 1})
		spec.Origins = append(spec.Origins, drivers.Origin{Machine: of, Disk: disk})
	}
	return spec
}

func copyHoldsTheSame(k *kit) {
	source := k.readable("source")
	k.guestWrites(source, "disk-0", 64<<10, "of the source")
	spec := k.copyOf(source, "copy")
	for range 2 {
		k.must(k.d.Build(k.Context(), spec))
	}
	id := spec.Mark.ID
	k.guestWrites(id, "disk-0", 128<<10, "of the copy")
	k.guestWrites(source, "disk-0", 64<<10, "of the source, later")
	k.must(k.d.Delete(k.Context(), source)) // the copy depends on nothing
	k.diskHolds(id, "disk-0", map[int64]string{64 << 10: "of the source", 128 << 10: "of the copy"})
	m, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	if m.Resources.DiskGiB != 1 {
		k.Errorf("its disk has %d GiB, want 1", m.Resources.DiskGiB)
	}
	k.act(id, fleet.Start)
	k.wantPower(id, fleet.PowerRunning)
}

func copyHasFurtherDisks(k *kit) {
	source := k.readable("source")
	keeper := ability[drivers.DeviceKeeper](k)
	for _, name := range []string{"disk-1", "disk-2"} {
		k.must(keeper.AttachDevice(k.Context(), source, drivers.Attachment{Name: name, Kind: fleet.DeviceDisk, SizeGiB: 1}))
	}
	k.guestWrites(source, "disk-2", 4096, "on the last")
	spec := k.copyOf(source, "copy", "disk-2") // and not of the one between
	k.must(k.d.Build(k.Context(), spec))
	k.diskHolds(spec.Mark.ID, "disk-1", map[int64]string{4096: "on the last"})
}

func copyOfNothingLeavesNothing(k *kit) {
	source := k.readable("source")
	running := k.readable("running")
	k.act(running, fleet.Start)
	before := k.storage()
	for what, origin := range map[string]drivers.Origin{
		"no such machine":   {Machine: newID(), Disk: "disk-0"},
		"no such disk":      {Machine: source, Disk: "disk-7"},
		"a running machine": {Machine: running, Disk: "disk-0"},
	} {
		spec := k.copyOf(source, "copy")
		spec.Origins[0] = origin
		err := k.d.Build(k.Context(), spec)
		if err == nil {
			k.Errorf("%s: it was built", what)
		} else if origin.Machine != running && !errors.Is(err, drivers.ErrNotFound) {
			k.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
		if n := k.count(spec.Mark.ID); n != 0 {
			k.Errorf("%s: %d machines", what, n)
		}
		if diff := cmp.Diff(before, k.storage()); diff != "" {
			k.Errorf("%s: something was left:\n%s", what, diff)
		}
	}
	k.act(running, fleet.Stop)
}

func firmwareIsKnown(k *kit) {
	reader := ability[drivers.DiskReader](k)
	firmware, err := reader.Firmware(k.Context(), k.readable("usual"))
	k.must(err)
	if firmware != "" {
		k.Errorf("it is %q, want the usual one", firmware)
	}
	if _, err := reader.Firmware(k.Context(), newID()); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("of no machine: got %v, want ErrNotFound", err)
	}
}

// diskOfAnImage makes a further disk as a copy of an image's, where the image
// has one.
func diskOfAnImage(k *kit) {
	spec := k.spec("of-image")
	im := spec.Image
	if _, ok := im.File(fleet.RoleDisk); !ok {
		im = k.diskImage()
	}
	if spec.Resources.DiskGiB == 0 {
		spec.Resources.DiskGiB, spec.Mark.DiskGiB = 1, 1
	}
	spec.Disks = []fleet.Disk{{SizeGiB: 2}, {SizeGiB: 1}}
	spec.Origins = []drivers.Origin{{}, {Image: im}}
	k.must(k.d.Build(k.Context(), spec))
	devices, err := ability[drivers.DeviceKeeper](k).Devices(k.Context(), spec.Mark.ID)
	k.must(err)
	sizes := map[string]int64{}
	for _, d := range devices {
		sizes[d.Name] = d.SizeGiB
	}
	if sizes["disk-1"] != 2 || sizes["disk-2"] != 1 {
		k.Errorf("its disks have %v GiB, want 2 of disk-1 and 1 of disk-2", sizes)
	}
	k.guestWrites(spec.Mark.ID, "disk-1", 64<<10, "over the image")
	k.diskHolds(spec.Mark.ID, "disk-1", map[int64]string{64 << 10: "over the image"})
	if im.ID != spec.Image.ID {
		k.must(k.images().RemoveImage(k.Context(), im.ID)) // the copy depends on nothing
		k.diskHolds(spec.Mark.ID, "disk-1", map[int64]string{0: imageText, 64 << 10: "over the image"})
	}
}

// imageText is what the first sector of diskImage holds.
const imageText = "of an image"

// diskImage is an image of a raw disk, which is there until the case ends.
func (k *kit) diskImage() fleet.Image {
	k.Helper()
	content := make([]byte, 64<<10)
	copy(content, imageText)
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: fleet.FormatRaw, VirtualBytes: int64(len(content))}
	im := fleet.Image{ID: f.SHA256, Name: "disk", Files: []fleet.ImageFile{f}, Bytes: f.Bytes, CreatedAt: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)}
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
