package drivers

import (
	"context"

	"grapevine/fleet"
)

// FeatureSnapshot says that the driver is a Snapshotter.
const FeatureSnapshot Feature = "snapshot"

// Snapshotter is a driver that keeps snapshots of machines on its hypervisor.
// A snapshot holds the machine's disks and, of one that runs or is paused, its
// memory. A machine that cannot have any, for what its disks are, is
// ErrUnsupported.
type Snapshotter interface {
	// Snapshots lists a machine's snapshots, oldest first, also those of a
	// foreign machine and those that others took.
	Snapshots(ctx context.Context, id fleet.InstanceID) ([]fleet.Snapshot, error)
	// TakeSnapshot keeps a managed machine as it is, which goes on as it was.
	// Where there is a snapshot of that name already, that one stays.
	TakeSnapshot(ctx context.Context, id fleet.InstanceID, name string) error
	// RevertSnapshot brings a machine back to a snapshot, whatever it does now:
	// its disks, its size, and its power. A hypervisor keeps the mark with the
	// rest, so what the machine carries afterwards is mark, as after Adopt; a
	// revert that was cut short can be done again, also where it brought back a
	// time before the machine was marked: it may be foreign. No snapshot of that name is
	// ErrNotFound.
	RevertSnapshot(ctx context.Context, id fleet.InstanceID, name string, mark Mark) error
	// DeleteSnapshot removes a snapshot of a managed machine; those taken upon
	// it stay. One that is not there is no error.
	DeleteSnapshot(ctx context.Context, id fleet.InstanceID, name string) error
}

// SnapshotJudge is a Snapshotter that knows beforehand which machines cannot have
// snapshots.
type SnapshotJudge interface {
	Snapshotter
	// Snapshottable says why a managed machine cannot have a snapshot as it is, with
	// ErrUnsupported, or ErrForeign or ErrNotFound; nil where it can. It changes
	// nothing.
	Snapshottable(ctx context.Context, id fleet.InstanceID) error
}
