package libvirt

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

var _ drivers.SnapshotJudge = (*Driver)(nil)

// Snapshots implements drivers.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id fleet.InstanceID) ([]fleet.Snapshot, error) {
	list, err := d.snapshots(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list snapshots of machine %s: %w", id, err)
	}
	return list, nil
}

func (d *Driver) snapshots(ctx context.Context, id fleet.InstanceID) ([]fleet.Snapshot, error) {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := d.inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	var list []fleet.Snapshot
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		all, _, err := rpc.DomainListAllSnapshots(dom, 1, uint32(golibvirt.DomainSnapshotListTopological))
		if err != nil {
			return err
		}
		read := make([]fleet.Snapshot, 0, len(all))
		for _, snap := range all {
			s, err := readSnapshot(rpc, snap)
			if err != nil && !session.IsCode(err, golibvirt.ErrNoDomainSnapshot) { // it went since
				return err
			}
			if err == nil {
				if s.VCPUs > 0 {
					s.DiskGiB = m.Resources.DiskGiB // disks that have snapshots stay as they are
				}
				read = append(read, s)
			}
		}
		list = read
		return nil
	})
	// Parents come before children already; libvirt's dates are whole seconds.
	slices.SortStableFunc(list, func(a, b fleet.Snapshot) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list, err
}

func readSnapshot(rpc *golibvirt.Libvirt, snap golibvirt.DomainSnapshot) (fleet.Snapshot, error) {
	text, err := rpc.DomainSnapshotGetXMLDesc(snap, 0)
	if err != nil {
		return fleet.Snapshot{}, err
	}
	current, err := rpc.DomainSnapshotIsCurrent(snap, 0)
	if err != nil {
		return fleet.Snapshot{}, err
	}
	s, err := parseSnapshot(text)
	s.Current = current == 1
	return s, err
}

// parseSnapshot reads what libvirt says of a snapshot, but for the size of its
// disks, which it does not say.
func parseSnapshot(text string) (fleet.Snapshot, error) {
	var seen libvirtxml.DomainSnapshot
	if err := seen.Unmarshal(text); err != nil {
		return fleet.Snapshot{}, fmt.Errorf("read snapshot XML: %w", err)
	}
	s := fleet.Snapshot{Name: seen.Name, Power: powerOfSnapshot(seen.State)}
	if seconds, err := strconv.ParseInt(seen.CreationTime, 10, 64); err == nil {
		s.CreatedAt = time.Unix(seconds, 0).UTC()
	}
	if seen.Parent != nil {
		s.Parent = seen.Parent.Name
	}
	var size struct {
		Domain seenDomain `xml:"domain"`
	}
	if err := xml.Unmarshal([]byte(text), &size); err != nil {
		return fleet.Snapshot{}, fmt.Errorf("read snapshot XML: %w", err)
	}
	s.VCPUs, s.MemoryMiB = size.Domain.VCPUs(), size.Domain.Memory.mib()
	return s, nil
}

// powerOfSnapshot is what a machine is after a revert, by the state that
// libvirt noted: one of disks alone leaves it stopped.
func powerOfSnapshot(state string) fleet.Power {
	switch state {
	case "running":
		return fleet.PowerRunning
	case "paused":
		return fleet.PowerPaused
	case "shutoff", "shutdown", "crashed", "disk-snapshot":
		return fleet.PowerStopped
	case "pmsuspended":
		return fleet.PowerSuspended
	default:
		return fleet.PowerUnknown
	}
}

// TakeSnapshot implements drivers.Snapshotter: an internal one, which lies in
// the machine's qcow2 disks with the rest, and goes when they do.
func (d *Driver) TakeSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	if err := d.takeSnapshot(ctx, id, name); err != nil {
		return fmt.Errorf("take snapshot %q of machine %s: %w", name, id, err)
	}
	return nil
}

func (d *Driver) takeSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	dom, mark, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if mark == nil {
		return drivers.ErrForeign
	}
	if err := d.snapshottable(ctx, dom); err != nil {
		return err
	}
	text, err := (&libvirtxml.DomainSnapshot{Name: name}).Marshal()
	if err != nil {
		return fmt.Errorf("write snapshot XML: %w", err)
	}
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		_, err := rpc.DomainSnapshotLookupByName(dom, name, 0)
		if !session.IsCode(err, golibvirt.ErrNoDomainSnapshot) {
			return err
		}
		_, err = rpc.DomainSnapshotCreateXML(dom, text, 0)
		return err
	})
	return cannot(err)
}

// cannot says that a machine's disks hold no snapshots, where libvirt does.
func cannot(err error) error {
	for _, code := range []golibvirt.ErrorNumber{
		golibvirt.ErrConfigUnsupported, golibvirt.ErrOperationUnsupported, golibvirt.ErrArgumentUnsupported,
	} {
		if session.IsCode(err, code) {
			return fmt.Errorf("%w: %w", drivers.ErrUnsupported, err)
		}
	}
	return err
}

// RevertSnapshot implements drivers.Snapshotter. Where QEMU would have to be
// started anew for it, it is: that the present is lost is what was asked for.
func (d *Driver) RevertSnapshot(ctx context.Context, id fleet.InstanceID, name string, mark drivers.Mark) error {
	err := d.revertSnapshot(ctx, id, name)
	if err == nil {
		err = d.adopt(ctx, id, mark)
	}
	if err != nil {
		return fmt.Errorf("revert machine %s to snapshot %q: %w", id, name, err)
	}
	return nil
}

func (d *Driver) revertSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return err
	}
	err = d.launch(ctx, dom, func(rpc *golibvirt.Libvirt) error {
		snap, err := rpc.DomainSnapshotLookupByName(dom, name, 0)
		if err != nil {
			return err
		}
		return rpc.DomainRevertToSnapshot(snap, uint32(golibvirt.DomainSnapshotRevertForce))
	})
	d.rests.begin(dom.UUID) // it may have been stopped by it
	return cannot(err)
}

// DeleteSnapshot implements drivers.Snapshotter.
func (d *Driver) DeleteSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	if err := d.deleteSnapshot(ctx, id, name); err != nil {
		return fmt.Errorf("delete snapshot %q of machine %s: %w", name, id, err)
	}
	return nil
}

func (d *Driver) deleteSnapshot(ctx context.Context, id fleet.InstanceID, name string) error {
	dom, mark, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if mark == nil {
		return drivers.ErrForeign
	}
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		snap, err := rpc.DomainSnapshotLookupByName(dom, name, 0)
		if err != nil {
			return err
		}
		return rpc.DomainSnapshotDelete(snap, 0)
	})
	if errors.Is(err, drivers.ErrNotFound) {
		return nil
	}
	return cannot(err)
}
