package libvirt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

var _ drivers.DeviceKeeper = (*Driver)(nil)

// Devices implements drivers.DeviceKeeper.
func (d *Driver) Devices(ctx context.Context, id fleet.InstanceID) ([]fleet.Device, error) {
	t, err := d.tree(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list devices of machine %s: %w", id, err)
	}
	var devices []fleet.Device
	for i := range t.seen.Disks {
		device, ok, err := d.diskOf(ctx, t, &t.seen.Disks[i])
		if err != nil {
			return nil, fmt.Errorf("list devices of machine %s: %w", id, err)
		}
		if ok {
			devices = append(devices, device)
		}
	}
	for i := range t.seen.Interfaces {
		devices = append(devices, t.seen.Interfaces[i].device())
	}
	drivers.OrderDevices(devices)
	return devices, nil
}

// tree is a domain and what it has.
type tree struct {
	dom    golibvirt.Domain
	seen   *seenDomain
	active bool
}

func (d *Driver) tree(ctx context.Context, id fleet.InstanceID) (*tree, error) {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &tree{dom: dom}
	var text string
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		active, err := rpc.DomainIsActive(dom)
		if err != nil {
			return err
		}
		t.active = active == 1
		text, err = rpc.DomainGetXMLDesc(dom, 0)
		return err
	})
	if session.IsCode(err, golibvirt.ErrNoDomain) {
		return nil, drivers.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	t.seen, err = parseDomain(text)
	return t, err
}

// where is what a change of the domain has to change: what it is defined to
// have and, while it is active, what it has.
func (t *tree) where() golibvirt.DomainDeviceModifyFlags {
	if t.active {
		return golibvirt.DomainDeviceModifyConfig | golibvirt.DomainDeviceModifyLive
	}
	return golibvirt.DomainDeviceModifyConfig
}

// diskOf puts a disk into the fleet's words; false for drives without a CD.
func (d *Driver) diskOf(ctx context.Context, t *tree, disk *seenDisk) (fleet.Device, bool, error) {
	name, ok := disk.name()
	if !ok {
		return fleet.Device{}, false, nil
	}
	if disk.Device == "cdrom" {
		return fleet.Device{Kind: fleet.DeviceISO, Name: name, Image: storage.ImageOfISO(disk.Source.File)}, disk.Source.File != "", nil
	}
	bytes, err := d.diskBytes(ctx, t.dom, *disk)
	if session.Unanswered(err) {
		return fleet.Device{}, false, err
	}
	return fleet.Device{Kind: fleet.DeviceDisk, Name: name, SizeGiB: int64((bytes + 1<<30 - 1) >> 30)}, true, nil
}

// name is disk-0 for vda, hda and so on, iso-1 for a CD drive sdb; none for
// what is neither.
func (s *seenDisk) name() (string, bool) {
	dev := s.Target.Dev
	if dev == "" || s.Device == "floppy" || s.Device == "lun" || s.isSeed() {
		return "", false
	}
	number := int(dev[len(dev)-1]) - 'a'
	if number < 0 || number > lastLetter {
		return "", false
	}
	if s.Device == "cdrom" {
		return drivers.ISOName(number), true
	}
	return drivers.DiskName(number), true
}

// isSeed tells a seed, which is no disk to its machine's owner.
func (s *seenDisk) isSeed() bool {
	file := filepath.Base(s.Source.File)
	return strings.HasPrefix(file, seedPrefix) && strings.HasSuffix(file, ".iso")
}

func (s *seenInterface) device() fleet.Device {
	device := fleet.Device{Kind: fleet.DeviceNIC, Name: strings.ToLower(s.MAC.Address), Network: s.Source.Network}
	if device.Network == "" {
		device.Network = s.Source.Bridge
	}
	if len(s.VLAN.Tags) > 0 {
		device.VLAN = s.VLAN.Tags[0].ID
	}
	return device
}

func (t *tree) disk(name string) *seenDisk {
	for i := range t.seen.Disks {
		if held, ok := t.seen.Disks[i].name(); ok && held == name {
			return &t.seen.Disks[i]
		}
	}
	return nil
}

func (t *tree) card(name string) *seenInterface {
	for i := range t.seen.Interfaces {
		if strings.EqualFold(t.seen.Interfaces[i].MAC.Address, name) {
			return &t.seen.Interfaces[i]
		}
	}
	return nil
}

// changing does something to the devices of a managed machine, one change at a
// time.
func (d *Driver) changing(ctx context.Context, id fleet.InstanceID, change func(*tree) error) error {
	release, err := d.builds.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	_, mark, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if mark == nil {
		return drivers.ErrForeign
	}
	t, err := d.tree(ctx, id)
	if err != nil {
		return err
	}
	defer d.sizes.forget(t.dom.UUID)
	return change(t)
}

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
	var number int
	if _, err := fmt.Sscanf(a.Name, "disk-%d", &number); err != nil || number < 0 || number > fleet.MaxDisks {
		return fmt.Errorf("%w: no disk can be called %q", drivers.ErrUnsupported, a.Name)
	}
	pool, err := d.storage.Pool(ctx)
	if err != nil {
		return err
	}
	volume := diskVolume(id, number)
	if err := pool.Delete(ctx, volume); err != nil {
		return err
	}
	vol, err := pool.Create(ctx, storage.Disk(volume, a.SizeGiB, "", ""))
	if err != nil {
		return err
	}
	disk := d.flavour.diskXML(vol.Key, number)
	if err := d.plug(ctx, t, &disk); err != nil {
		return pool.Undo(ctx, err, volume)
	}
	return nil
}

func (d *Driver) attachCard(ctx context.Context, t *tree, a *drivers.Attachment) error {
	if t.card(a.Name) != nil {
		return nil
	}
	cards, err := d.wired(ctx, []fleet.NIC{a.NIC})
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
	var number int
	if _, err := fmt.Sscanf(a.Name, "iso-%d", &number); err != nil || number < 0 || number >= drives {
		return fmt.Errorf("%w: no CD can be called %q: a machine has %d drives", drivers.ErrUnsupported, a.Name, drives)
	}
	drive := driveXML(path, number)
	switch held := t.disk(a.Name); {
	case held != nil && held.Source.File == path:
		return nil
	case held != nil && held.Source.File != "":
		return fmt.Errorf("%w: another CD is in this drive", drivers.ErrUnsupported)
	case held != nil:
		return d.update(ctx, t, &drive)
	case t.active:
		return fmt.Errorf("%w: the machine has no free CD drive, and gets one only while it is stopped", drivers.ErrUnsupported)
	}
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

// DetachDevice implements drivers.DeviceKeeper.
func (d *Driver) DetachDevice(ctx context.Context, id fleet.InstanceID, name string) error {
	if err := d.changing(ctx, id, func(t *tree) error { return d.detach(ctx, t, id, name) }); err != nil {
		return fmt.Errorf("detach %s from machine %s: %w", name, id, err)
	}
	return nil
}

func (d *Driver) detach(ctx context.Context, t *tree, id fleet.InstanceID, name string) error {
	if name == drivers.DiskName(0) {
		return drivers.ErrFirstDisk
	}
	disk, card := t.disk(name), t.card(name)
	switch {
	case disk != nil && disk.Device == "cdrom":
		var number int
		if _, err := fmt.Sscanf(name, "iso-%d", &number); err != nil || disk.Source.File == "" {
			return err
		}
		empty := driveXML("", number)
		return d.update(ctx, t, &empty)
	case disk != nil:
		unplug := libvirtxml.DomainDisk{
			Device: "disk", Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: disk.Source.File}},
			Target: &libvirtxml.DomainDiskTarget{Dev: disk.Target.Dev},
		}
		if err := d.unplug(ctx, t, id, name, &unplug); err != nil {
			return err
		}
		return d.discardDisk(ctx, id, name)
	case card != nil:
		return d.unplug(ctx, t, id, name, &libvirtxml.DomainInterface{
			MAC: &libvirtxml.DomainInterfaceMAC{Address: card.MAC.Address}, Source: card.source(),
		})
	}
	return d.discardDisk(ctx, id, name) // what a crash has left of it
}

// source names what a card is on, as libvirt wants it.
func (s *seenInterface) source() *libvirtxml.DomainInterfaceSource {
	if s.Source.Network != "" {
		return &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: s.Source.Network}}
	}
	return &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: s.Source.Bridge}}
}

// discardDisk removes the volume of a disk that we made.
func (d *Driver) discardDisk(ctx context.Context, id fleet.InstanceID, name string) error {
	var number int
	if _, err := fmt.Sscanf(name, "disk-%d", &number); err != nil || number < 1 || number > fleet.MaxDisks {
		return nil
	}
	pool, err := d.storage.Find(ctx)
	if errors.Is(err, drivers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return pool.Delete(ctx, diskVolume(id, number))
}

// letGo is how long a guest may take to let go of a device.
const letGo = 20 * time.Second

// unplug takes a device off: off a machine that is active first, whose guest
// has to let go of it, and then off what it is defined to have.
func (d *Driver) unplug(ctx context.Context, t *tree, id fleet.InstanceID, name string, dev device) error {
	text, err := dev.Marshal()
	if err != nil {
		return fmt.Errorf("write device XML: %w", err)
	}
	remove := func(from golibvirt.DomainDeviceModifyFlags) error {
		return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
			return rpc.DomainDetachDeviceFlags(t.dom, text, uint32(from))
		})
	}
	if t.active {
		if err := remove(golibvirt.DomainDeviceModifyLive); err != nil {
			return err
		}
		if err := d.awaitGone(ctx, id, name); err != nil {
			return err
		}
	}
	return remove(golibvirt.DomainDeviceModifyConfig)
}

// awaitGone waits until the machine does not have the device any more.
func (d *Driver) awaitGone(ctx context.Context, id fleet.InstanceID, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, letGo, fmt.Errorf("the guest did not let go of it within %s", letGo))
	defer cancel()
	for {
		t, err := d.tree(ctx, id)
		if err != nil {
			return err
		}
		if t.disk(name) == nil && t.card(name) == nil {
			return nil
		}
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// GrowDisk implements drivers.DeviceKeeper.
func (d *Driver) GrowDisk(ctx context.Context, id fleet.InstanceID, name string, gib int64) error {
	if err := d.changing(ctx, id, func(t *tree) error { return d.grow(ctx, t, name, gib) }); err != nil {
		return fmt.Errorf("grow %s of machine %s: %w", name, id, err)
	}
	return nil
}

func (d *Driver) grow(ctx context.Context, t *tree, name string, gib int64) error {
	disk := t.disk(name)
	if disk == nil || disk.Device == "cdrom" {
		return drivers.ErrNotFound
	}
	seen, _, err := d.diskOf(ctx, t, disk)
	if err != nil {
		return err
	}
	if err := drivers.Growable(&seen, gib); err != nil || seen.SizeGiB == gib {
		return err
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
