package libvirt

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// AttachDevice implements drivers.DeviceKeeper.
func (d *Driver) AttachDevice(ctx context.Context, id fleet.InstanceID, a drivers.Attachment) error {
	err := d.changing(ctx, id, func(t *tree) error {
		switch a.Kind {
		case fleet.DeviceDisk:
			return d.attachDisk(ctx, t, id, &a)
		case fleet.DeviceNIC:
			return d.attachCard(ctx, t, &a)
		case fleet.DeviceISO:
			return d.insert(ctx, t, &a)
		default:
			return fmt.Errorf("%w: device kind %s", drivers.ErrUnsupported, a.Kind)
		}
	})
	if err != nil {
		return fmt.Errorf("attach %s %s to machine %s: %w", a.Kind, a.Name, id, err)
	}
	return nil
}

// attachDisk makes the volume anew: what a crash left of it is nobody's.
func (d *Driver) attachDisk(ctx context.Context, t *tree, id fleet.InstanceID, a *drivers.Attachment) error {
	if t.disk(a.Name) != nil {
		return nil
	}
	number, ok := drivers.DiskNumber(a.Name)
	if !ok {
		return drivers.Unfit("no disk can be called %q", a.Name)
	}
	p, err := d.places(ctx)
	if err != nil {
		return err
	}
	names := p.diskNames(id, number)
	if err := p.disks.Clear(ctx, names[:]...); err != nil {
		return err
	}
	at, err := d.makeDisk(ctx, p, id, names[0], a.SizeGiB, content{})
	if err == nil {
		disk := d.flavour.volumeXML(at, t.seen.diskPlace(number))
		err = d.plug(ctx, t, &disk)
	}
	if err != nil {
		return p.disks.Undo(ctx, err, names[0])
	}
	return nil
}

func (d *Driver) attachCard(ctx context.Context, t *tree, a *drivers.Attachment) error {
	if t.card(a.Name) != nil {
		return nil
	}
	networks, err := d.networks(ctx)
	if err != nil {
		return err
	}
	cards, err := networks.wire([]fleet.NIC{a.NIC}, d.config.Network)
	if err != nil {
		return err
	}
	if len(cards) == 0 {
		return fmt.Errorf("network %q: %w", a.NIC.Network, drivers.ErrNotFound)
	}
	nic := d.flavour.cardXML(cards[0])
	return d.plug(ctx, t, &nic)
}

// insert puts an image's ISO into a CD drive. A machine that runs gets no
// further drive, for SATA's are there from the start.
func (d *Driver) insert(ctx context.Context, t *tree, a *drivers.Attachment) error {
	pool, err := d.storage.Pool(ctx)
	if err != nil {
		return err
	}
	path, err := pool.Path(ctx, storage.FileName(a.Image, fleet.RoleISO))
	if err != nil {
		return fmt.Errorf("find the image's ISO: %w", err)
	}
	number, ok := drivers.ISONumber(a.Name, drives)
	if !ok {
		return drivers.Unfit("no CD can be called %q: a machine has %d drives", a.Name, drives)
	}
	switch held := t.disk(a.Name); {
	case held != nil && held.Source.File == path:
		return nil
	case held != nil && held.Source.File != "":
		return drivers.Unfit("another CD is in this drive")
	case held != nil:
		full := driveXML(path, held.place())
		return d.update(ctx, t, &full)
	case t.active:
		return drivers.Unfit("the machine has no free CD drive, and gets one only while it is stopped")
	}
	drive := driveXML(path, sataDrive(number))
	return d.plug(ctx, t, &drive)
}

// device is what libvirt takes as XML.
type device interface{ Marshal() (string, error) }

func (d *Driver) plug(ctx context.Context, t *tree, dev device) error {
	text, err := dev.Marshal()
	if err != nil {
		return fmt.Errorf("write device XML: %w", err)
	}
	return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		return rpc.DomainAttachDeviceFlags(t.dom, text, uint32(t.where()))
	})
}

func (d *Driver) update(ctx context.Context, t *tree, drive *libvirtxml.DomainDisk) error {
	text, err := drive.Marshal()
	if err != nil {
		return fmt.Errorf("write device XML: %w", err)
	}
	return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		return rpc.DomainUpdateDeviceFlags(t.dom, text, t.where())
	})
}
