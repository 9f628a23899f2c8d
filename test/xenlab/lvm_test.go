package xenlab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/drivertest"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/test/xenlab"
)

// makeVolumeGroup makes a volume group of LVM's and a pool over it, both called
// blocks, on a file that takes no room. Xen's own script for block devices, which
// looks who else uses one, takes so long that the toolstack gives it up on a busy
// emulated machine.
const makeVolumeGroup = `set -e
modprobe dm-mod
truncate -s 16G /var/lib/blocks
vgcreate --quiet blocks "$(losetup --find --show /var/lib/blocks)"
virsh -q pool-define-as blocks logical --source-name blocks --target /dev/blocks
cat >/etc/xen/scripts/block <<'SCRIPT'
#!/bin/sh
set -eu
if [ "$1" = add ]; then
	dev=$(xenstore-read "$XENBUS_PATH/params")
	xenstore-write "$XENBUS_PATH/physical-device-path" "$dev" \
		"$XENBUS_PATH/physical-device" "$(stat -L -c %t:%T "$dev")" "$XENBUS_PATH/hotplug-status" connected
fi
SCRIPT
`

// TestConformanceOnLVM runs the cases that disks have a part in, with disks that
// are logical volumes.
func TestConformanceOnLVM(t *testing.T) {
	host := xenlab.Start(t)
	_, err := host.Shell(t.Context(), makeVolumeGroup+"ip link set eth1 up master xenbr0")
	must(t, err)
	h := &lvm{newHarness(t, host)}
	h.disks = "blocks"
	drivertest.RunThese(t, h,
		"DescribeIsCompleteAndStable", "DeclaredFeaturesAreThere",
		"BuiltMachineHasTheSizeAskedFor", "BuildTwiceMakesOneMachine", "FailedBuildLeavesNothing", "CancelledBuildLeavesOneOrNothing",
		"DeleteRemovesMachineAndDisks", "CancelledDeleteIsDoneAgain",
		"ResizeChangesSizeAndMark", "ResizeRefusesWhatItCannotDo", "ResizeKeepsFurtherDisks",
		"RebuildMakesTheFirstDiskAnew", "RebuildIsDoneOnce", "CancelledRebuildLeavesAWholeMachine",
		"RebuildWithoutRoomLeavesTheOldDisk", "DeleteRemovesARebuiltMachine",
		"BuiltMachineHasItsDevices", "DiskIsAttachedAndDetachedOnce", "FirstDiskStays", "DiskGrowsAndNeverShrinks",
		"RunningMachineTakesDevices", "DeleteRemovesFurtherDisks",
		"DiskIsReadAsItIsNow", "FurtherDiskIsRead", "DisksThatCannotBeReadAreRefused",
		"CopyHoldsWhatItsSourceHeld", "CopyOfNothingLeavesNothing", "CopyHasFurtherDisks", "FurtherDiskBeginsAsAnImage",
		"VolumesAreToldWithTheirMachines")
}

// logical lets a machine live on logical volumes: its guest sees them, one grows
// while it is stopped, and they go with it.
func (b *bench) logical(t *testing.T) {
	_, err := b.host.Shell(t.Context(), makeVolumeGroup)
	must(t, err)
	d := b.beside(t, func(c *libvirt.Config) { c.DiskPool = "blocks" })
	desc, err := d.Describe(t.Context())
	must(t, err)
	if desc.Total.DiskGiB != 15 { // of 16, less what LVM takes
		t.Errorf("the host has %d GiB for disks, want 15", desc.Total.DiskGiB)
	}
	guest := tinyGuest(t)
	must(t, d.ImportImage(t.Context(), guest.image, bytes.NewReader(guest.content)))
	spec := carded(guest.image, fleet.NIC{})
	id := spec.Mark.ID
	spec.Cards, spec.Resources.DiskGiB, spec.Disks = nil, 1, []fleet.Disk{{SizeGiB: 1}}
	t.Cleanup(func() { must(t, d.Delete(context.WithoutCancel(t.Context()), id)) })
	must(t, d.Build(t.Context(), spec))
	must(t, d.GrowDisk(t.Context(), id, drivers.DiskName(1), 2))
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, fmt.Sprintf("tiny-guest: up, id %s, disks xvda:%d xvdb:%d", id, 1<<30/512, 2<<30/512), 1)
	if err := d.GrowDisk(t.Context(), id, drivers.DiskName(1), 3); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("grow a disk of a running machine: got %v, want ErrUnsupported", err)
	}
	must(t, d.Delete(t.Context(), id))
	left, err := b.host.Shell(t.Context(), "lvs --noheadings blocks; ls /var/lib/libvirt/images/grapevine | grep "+id.String()+" || true")
	must(t, err)
	if strings.TrimSpace(left) != "" {
		t.Errorf("of the machine there is left %q", left)
	}
}

// lvm is the harness of a host whose machines' disks are logical volumes.
type lvm struct{ *harness }

// Fill takes all that is left of the volume group, and what is left of the
// system's own disk stays as it is.
func (h *lvm) Fill(tb testing.TB, on bool) {
	tb.Helper()
	command := "lvremove -qq -f blocks/all || ! lvs blocks/all"
	if on {
		command = "lvcreate -qq -y -n all -l 100%FREE blocks"
	}
	_, err := h.host.Shell(tb.Context(), command)
	if err != nil {
		tb.Fatal(err)
	}
}
