package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// Snapshots returns the snapshots of a machine of this host.
func (l *local) Snapshots(ctx context.Context, id fleet.InstanceID) (fleet.SnapshotList, error) {
	keeper, err := (*Agent)(l).snapshotter()
	if err != nil {
		return fleet.SnapshotList{}, err
	}
	list, err := keeper.Snapshots(ctx, id)
	return fleet.SnapshotList{Instance: id, Items: list}, (*Agent)(l).machineError("list snapshots", id, err)
}

// snapshotter is the driver with its snapshots, or why there are none here.
func (a *Agent) snapshotter() (drivers.Snapshotter, error) {
	return able[drivers.Snapshotter](a, drivers.FeatureSnapshot, "keeps no snapshots")
}

// ChangeSnapshot implements api.Writer for the machines of this host.
func (a *Agent) ChangeSnapshot(ctx context.Context, id fleet.InstanceID, change fleet.SnapshotChange) (fleet.Accepted, error) {
	if err := change.Validate(); err != nil {
		return fleet.Accepted{}, err
	}
	w := &work{verb: string(change.Verb), snapshot: change.Name}
	// Where the machine is not here begin says so, and better.
	if _, here := a.observer.Machine(id); here {
		past, err := a.fitsSnapshots(ctx, id, change)
		if err != nil {
			return fleet.Accepted{}, err
		}
		if change.Verb == fleet.RevertSnapshot {
			w.size = &past.Resources // the host must have room for it
		}
	}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil {
			return err
		}
		switch {
		case change.Verb == fleet.RevertSnapshot:
			w.mark = machine.Mark.Clone()
			return nil
		case change.Verb == fleet.TakeSnapshot && built && machine.Resources.DiskGiB == 0:
			return errorf(fleet.CodeUnsupported, "instance %s has no disk, and a snapshot lies in the disks", id)
		default:
			return nil
		}
	})
}

// fitsSnapshots says why a change does not go with the snapshots that a machine
// has now; otherwise it returns the one that is named, where it is there.
func (a *Agent) fitsSnapshots(ctx context.Context, id fleet.InstanceID, change fleet.SnapshotChange) (past fleet.Snapshot, err error) {
	list, err := (*local)(a).Snapshots(ctx, id)
	if err != nil {
		return past, err
	}
	i := slices.IndexFunc(list.Items, func(s fleet.Snapshot) bool { return s.Name == change.Name })
	there := i >= 0
	if there {
		past = list.Items[i]
	}
	switch {
	case there && change.Verb == fleet.TakeSnapshot:
		return past, errorf(fleet.CodeConflict, "instance %s has a snapshot %q already; delete it first, or use another name", id, change.Name)
	case !there && change.Verb != fleet.TakeSnapshot:
		return past, errorf(fleet.CodeNotFound, "instance %s has no snapshot %q; list them with: grapevine instance snapshot list %s", id, change.Name, id)
	case change.Verb == fleet.TakeSnapshot:
		return past, a.snapshottable(ctx, id)
	default:
		return past, nil
	}
}

// snapshottable says why a machine of this host cannot have snapshots, where its
// driver knows.
func (a *Agent) snapshottable(ctx context.Context, id fleet.InstanceID) error {
	judge, ok := a.driver.(drivers.SnapshotJudge)
	if !ok {
		return nil
	}
	err := judge.Snapshottable(ctx, id)
	switch {
	case errors.Is(err, drivers.ErrUnsupported):
		return errorf(fleet.CodeUnsupported, "instance %s cannot have snapshots: %s", id, drivers.Why(err))
	case errors.Is(err, drivers.ErrForeign):
		return nil // begin says so, and better
	default:
		return a.machineError("take a snapshot", id, err)
	}
}

// snapshot does what the operation says to a snapshot.
func (a *Agent) snapshot(ctx context.Context, op *journal.Operation) error {
	keeper, err := a.snapshotter()
	if err != nil {
		return err
	}
	switch fleet.SnapshotVerb(op.Verb) {
	case fleet.TakeSnapshot:
		err = keeper.TakeSnapshot(ctx, op.Instance, op.Snapshot)
	case fleet.RevertSnapshot:
		if op.Mark == nil {
			return fmt.Errorf("revert-snapshot: %w", drivers.ErrForeign)
		}
		err = keeper.RevertSnapshot(ctx, op.Instance, op.Snapshot, *op.Mark)
	default:
		err = keeper.DeleteSnapshot(ctx, op.Instance, op.Snapshot)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op.Verb, err)
	}
	return nil
}
