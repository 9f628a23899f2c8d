package drivertest

import (
	"errors"

	"grapevine/drivers"
	"grapevine/fleet"
)

// uefiSnapshot: whether a machine with UEFI firmware can have snapshots is the
// hypervisor's business, and known before one is taken.
func uefiSnapshot(k *kit) {
	if !k.has(drivers.FeatureSnapshot) {
		k.Skip("the driver does not declare the feature snapshot")
	}
	im := k.iso()
	spec, _ := k.disked("kept firmware")
	spec.Image, spec.Mark.Image, spec.Firmware = im, im.ID, fleet.UEFI
	k.must(k.d.Build(k.Context(), spec))
	var said error
	if judge, ok := k.d.(drivers.SnapshotJudge); ok {
		said = judge.Snapshottable(k.Context(), spec.Mark.ID)
	}
	err := k.snapshotter().TakeSnapshot(k.Context(), spec.Mark.ID, "one")
	switch {
	case said == nil && err == nil:
		k.wantSnapshots(spec.Mark.ID, fleet.Snapshot{Name: "one", Power: fleet.PowerStopped, Current: true})
	case errors.Is(said, drivers.ErrUnsupported) && errors.Is(err, drivers.ErrUnsupported):
		k.wantSnapshots(spec.Mark.ID)
	default:
		k.Errorf("got %v, and %v when asked before; want nothing or ErrUnsupported of both", err, said)
	}
}
