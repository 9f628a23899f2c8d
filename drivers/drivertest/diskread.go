package drivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// DiskWriter is a harness that writes to disks as guests do, and shows what a
// guest sees of a disk's file. One whose driver has drivers.FeatureReadDisks is a
// DiskWriter.
type DiskWriter interface {
	// WriteDisk writes to a disk of a stopped machine.
	WriteDisk(tb testing.TB, id fleet.InstanceID, disk string, offset int64, data []byte)
	// RawDisk is the beginning of the disk that a file of this format holds, 1 MiB
	// or less.
	RawDisk(tb testing.TB, format string, content []byte) []byte
}

// guestWrites writes, as the guest of a stopped machine.
func (k *kit) guestWrites(id fleet.InstanceID, disk string, offset int64, text string) {
	k.Helper()
	k.h.(DiskWriter).WriteDisk(k, id, disk, offset, sectors(text))
}

// sectors is a text as a disk takes it, in whole sectors.
func sectors(text string) []byte {
	b := make([]byte, (len(text)+511)/512*512)
	copy(b, text)
	return b
}

// diskHolds reads a disk of a stopped machine and looks for what was written.
func (k *kit) diskHolds(id fleet.InstanceID, disk string, want map[int64]string) {
	k.Helper()
	content, err := ability[drivers.DiskReader](k).ReadDisk(k.Context(), id, disk)
	k.must(err)
	whole := content.Format != fleet.FormatRaw || content.Bytes < 64<<20 // a GiB of zeros takes seconds, and shows nothing
	bound := int64(1 << 20)
	if whole {
		bound = math.MaxInt64
	}
	var file bytes.Buffer
	n, err := io.Copy(&file, io.LimitReader(content, bound))
	k.must(errors.Join(err, content.Close()))
	if whole && content.Bytes != 0 && content.Bytes != n {
		k.Errorf("%s is read as %d bytes, and %d were told", disk, n, content.Bytes)
	}
	raw := k.h.(DiskWriter).RawDisk(k, content.Format, file.Bytes())
	for offset, text := range want {
		want := sectors(text)
		if end := offset + int64(len(want)); int64(len(raw)) < end || !bytes.Equal(raw[offset:end], want) {
			k.Errorf("%s does not hold %q at %d", disk, text, offset)
		}
	}
}

// readable makes a stopped machine with a first disk.
func (k *kit) readable(name string) fleet.InstanceID {
	k.Helper()
	spec := k.spec(name)
	if spec.DiskGiB() == 0 {
		spec.Resources.DiskGiB, spec.Mark.DiskGiB = 1, 1
	}
	k.must(k.d.Build(k.Context(), spec))
	return spec.Mark.ID
}

func diskIsRead(k *kit) {
	id := k.readable("read")
	before := k.storage()
	k.diskHolds(id, "disk-0", nil)
	k.guestWrites(id, "disk-0", 64<<10, "first words")
	desc, err := k.d.Describe(k.Context())
	k.must(err)
	if slices.Contains(desc.Features, drivers.FeatureSnapshot) {
		k.take(id, "between") // what is written from here on lies upon what was
	}
	k.guestWrites(id, "disk-0", 128<<10, "last words")
	for range 2 {
		k.diskHolds(id, "disk-0", map[int64]string{64 << 10: "first words", 128 << 10: "last words"})
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" && !slices.Contains(desc.Features, drivers.FeatureSnapshot) {
		k.Errorf("reading left something:\n%s", diff)
	}
}

func furtherDiskIsRead(k *kit) {
	id := k.readable("further")
	k.must(ability[drivers.DeviceKeeper](k).AttachDevice(k.Context(), id, drivers.Attachment{Name: "disk-1", Kind: fleet.DeviceDisk, SizeGiB: 1}))
	k.guestWrites(id, "disk-1", 4096, "on the second")
	k.diskHolds(id, "disk-1", map[int64]string{4096: "on the second"})
}

func unreadableDisks(k *kit) {
	reader := ability[drivers.DiskReader](k)
	refuses := func(what string, id fleet.InstanceID, disk string, want error) {
		k.Helper()
		content, err := reader.ReadDisk(k.Context(), id, disk)
		if err == nil {
			err = content.Close()
			k.Errorf("%s: it was read (%v)", what, err)
		} else if want != nil && !errors.Is(err, want) {
			k.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	id := k.readable("unreadable")
	before := k.storage()
	refuses("no such disk", id, "disk-9", drivers.ErrNotFound)
	refuses("no name of a disk", id, "02:00:00:00:00:01", drivers.ErrNotFound)
	refuses("no such machine", newID(), "disk-0", drivers.ErrNotFound)
	refuses("a foreign machine", k.define("by-hand"), "disk-0", drivers.ErrForeign)
	k.act(id, fleet.Start)
	refuses("a running machine", id, "disk-0", nil)
	k.act(id, fleet.Stop)
	ended, cancel := context.WithCancel(k.Context())
	cancel()
	if _, err := reader.ReadDisk(ended, id, "disk-0"); !errors.Is(err, context.Canceled) {
		k.Errorf("with an ended context: got %v", err)
	}
	content, err := reader.ReadDisk(k.Context(), id, "disk-0") // and given up before its end
	k.must(err)
	k.must(content.Close())
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("something was left:\n%s", diff)
	}
	k.diskHolds(id, "disk-0", nil)
}
