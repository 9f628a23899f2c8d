package libvirt

import (
	"context"
	"errors"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// errGrowsStopped: a disk that is a block device is made larger by a copy.
var errGrowsStopped = drivers.Unfit("the disk is a block device, and grows only while its machine is stopped")

// enlarge gives a disk a size that is larger than what it has.
func (d *Driver) enlarge(ctx context.Context, t *tree, disk *seenDisk, gib int64) error {
	if disk.Source.Dev != "" {
		return d.enlargeByCopy(ctx, t, disk, gib)
	}
	size := uint64(gib) << 30 // not negative
	return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		if t.active {
			return rpc.DomainBlockResize(t.dom, disk.Target.Dev, size, golibvirt.DomainBlockResizeBytes)
		}
		vol, err := rpc.StorageVolLookupByPath(disk.Source.File)
		if err != nil {
			return err
		}
		return rpc.StorageVolResize(vol, size, 0)
	})
}

// enlargeByCopy makes a larger disk beside one that is a block device, which
// libvirt cannot make larger, and lets the domain have it. Whatever cuts it
// short leaves a machine with one whole disk, and the next try tidies up.
func (d *Driver) enlargeByCopy(ctx context.Context, t *tree, disk *seenDisk, gib int64) error {
	if t.active {
		return errGrowsStopped
	}
	id, path := fleet.InstanceID(t.dom.UUID), disk.Source.Dev
	p, err := d.places(ctx)
	if err != nil {
		return err
	}
	names, err := d.namesOf(ctx, p, t, disk)
	if err != nil {
		return err
	}
	def, err := d.definition(ctx, t.dom)
	if err != nil {
		return err
	}
	held := def.disk(path)
	if held == nil {
		return errors.New("the disk is not one with which the machine would start")
	}
	name := unused(def, names)
	if err := p.disks.Clear(ctx, name); err != nil {
		return err
	}
	at, err := d.makeDisk(ctx, p, id, name, gib, content{path, fleet.FormatRaw})
	if err == nil {
		d.flavour.lie(held, at)
		err = d.define(ctx, def)
	}
	// What became of a definition whose answer was lost, the domain itself says.
	tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	return errors.Join(err, d.tidyPair(tidying, p, t.dom, names))
}

// namesOf are the two names of a disk that was made for the machine; others are
// refused.
func (d *Driver) namesOf(ctx context.Context, p places, t *tree, disk *seenDisk) (names [2]string, err error) {
	refused := drivers.Unfit("the disk is a block device that was not made for the machine, and libvirt cannot make it larger")
	name, _ := t.seen.nameOf(disk)
	number, ok := drivers.DiskNumber(name)
	if !ok {
		return names, refused
	}
	names = p.diskNames(fleet.InstanceID(t.dom.UUID), number)
	ours, err := p.holds(ctx, disk.Source.Dev, names[:]...)
	if err == nil && !ours {
		err = refused
	}
	return names, err
}

// tidyPair removes of a disk's two volumes the one that the domain does not
// have.
func (d *Driver) tidyPair(ctx context.Context, p places, dom golibvirt.Domain, names [2]string) error {
	def, err := d.definition(ctx, dom)
	if err != nil {
		return err
	}
	return p.disks.Delete(ctx, def.spare(names[:]...)...)
}

// growsNow refuses a size of which a machine that runs could not get the disk.
func growsNow(t *tree, m *drivers.Machine, size fleet.Resources) error {
	first := t.disk(drivers.DiskName(0))
	if t.active && size.DiskGiB > m.Resources.DiskGiB && first != nil && first.Source.Dev != "" {
		return errGrowsStopped
	}
	return nil
}
