package libvirt

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

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
	name, ok := t.seen.nameOf(disk)
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
	return fleet.Device{Kind: fleet.DeviceDisk, Name: name, SizeGiB: fleet.WholeGiB(int64(bytes))}, true, nil
}

// letter is the number of the letter that the disk's own name ends with, 0 for
// a; false for what is no disk or CD drive to its machine's owner.
func (s *seenDisk) letter() (int, bool) {
	dev := s.Target.Dev
	if dev == "" || s.Device == "floppy" || s.Device == "lun" || s.isHidden() {
		return 0, false
	}
	number := int(dev[len(dev)-1]) - 'a'
	return number, number >= 0 && number <= lastLetter
}

// place is where the disk is in its machine.
func (s *seenDisk) place() libvirtxml.DomainDiskTarget {
	return libvirtxml.DomainDiskTarget{Dev: s.Target.Dev, Bus: s.Target.Bus}
}

// path is the file or the block device that the disk lies in, empty where it is
// neither.
func (s *seenDisk) path() string { return cmp.Or(s.Source.File, s.Source.Dev) }

// isSeed tells a seed, which is no disk to its machine's owner.
func (s *seenDisk) isSeed() bool { return isSeed(s.Source.File) }

func isSeed(path string) bool {
	file := filepath.Base(path)
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
		if held, ok := t.seen.nameOf(&t.seen.Disks[i]); ok && held == name {
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
	release, err := d.builds.Take(ctx, id)
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
	bytes, err := d.diskBytes(ctx, t.dom, *disk)
	if err != nil {
		return err
	}
	have := fleet.WholeGiB(int64(bytes))
	if err := drivers.Growable(have, gib); err != nil || have == gib {
		return err
	}
	if t.active && !d.flavour.grows {
		return fmt.Errorf("%w: a disk of a machine that runs cannot grow here", drivers.ErrUnsupported)
	}
	return d.enlarge(ctx, t, disk, gib)
}
