package libvirt

import (
	"cmp"
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// makeDiskOf is makeDisk of a disk that is a copy of another one, where it has
// an origin.
func (d *Driver) makeDiskOf(ctx context.Context, p places, id fleet.InstanceID, name string, gib int64, o *drivers.Origin, begin content) (lair, error) {
	switch {
	case o.IsZero():
		return d.makeDisk(ctx, p, id, name, gib, begin)
	case !o.Machine.IsZero():
		return d.copyOfMachine(ctx, p, o, id, name, gib)
	default:
		return d.copyOfImage(ctx, p, o, id, name, gib)
	}
}

// copyOfMachine copies a disk of another machine, at which nothing else is done
// meanwhile.
func (d *Driver) copyOfMachine(ctx context.Context, p places, o *drivers.Origin, id fleet.InstanceID, name string, gib int64) (lair, error) {
	release, err := d.builds.Take(ctx, o.Machine)
	if err != nil {
		return lair{}, err
	}
	defer release()
	from, err := d.idleDisk(ctx, o.Machine, o.Disk)
	if err != nil {
		return lair{}, fmt.Errorf("find %s of machine %s: %w", o.Disk, o.Machine, err)
	}
	if p.disks.Blocks() {
		return d.makeDisk(ctx, p, id, name, gib, from.content)
	}
	return d.copyToFile(ctx, p, name, gib, from.vol)
}

// copyOfImage copies the disk of an image. Its volume is bytes to libvirt, and
// what format they are is told by an empty disk over it, which is there as long.
func (d *Driver) copyOfImage(ctx context.Context, p places, o *drivers.Origin, id fleet.InstanceID, name string, gib int64) (lair, error) {
	im, err := d.storage.Image(ctx, p.files, o.Image.ID)
	if err != nil {
		return lair{}, err
	}
	begin, err := imageContent(ctx, p.files, &im)
	if err != nil {
		return lair{}, err
	}
	if p.disks.Blocks() {
		return d.makeDisk(ctx, p, id, name, gib, begin)
	}
	over, err := p.files.Create(ctx, storage.Disk(readVolume(id), gib, begin.path, begin.format))
	var at lair
	if err == nil {
		at, err = d.copyToFile(ctx, p, name, gib, over)
	}
	return at, p.files.Undo(ctx, err, readVolume(id))
}

// copyToFile makes a disk that is a file, and a copy of this one.
func (d *Driver) copyToFile(ctx context.Context, p places, name string, gib int64, from golibvirt.StorageVol) (lair, error) {
	volume := storage.Disk(name, gib, "", "")
	vol, err := p.disks.Copy(ctx, volume, from)
	if err == nil {
		err = d.stretch(ctx, vol, volume.Capacity.Value)
	}
	return lair{path: vol.Key}, err
}

// stretch makes a volume so large, where it is smaller.
func (d *Driver) stretch(ctx context.Context, vol golibvirt.StorageVol, bytes uint64) error {
	return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		_, capacity, _, err := rpc.StorageVolGetInfo(vol)
		if err != nil || capacity >= bytes {
			return err
		}
		return rpc.StorageVolResize(vol, bytes, 0)
	})
}

// sameFormat makes sure that libvirt would read a volume as what its machine
// uses it as. Libvirt guesses formats by content, and the content of a raw disk
// is the guest's: what looks like qcow2 there could name any file of the host.
// Block devices it reads as they are.
func (d *Driver) sameFormat(ctx context.Context, vol golibvirt.StorageVol, disk *seenDisk) error {
	var text string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		text, err = rpc.StorageVolGetXMLDesc(vol, 0)
		return err
	})
	if err != nil {
		return err
	}
	var described libvirtxml.StorageVolume
	if err := described.Unmarshal(text); err != nil {
		return fmt.Errorf("read description of volume %s: %w", vol.Name, err)
	}
	var held string
	if described.Type != "block" && described.Target != nil && described.Target.Format != nil {
		held = described.Target.Format.Type
	}
	if used := cmp.Or(disk.Driver.Type, fleet.FormatRaw); cmp.Or(held, fleet.FormatRaw) != used {
		return drivers.Unfit("libvirt takes the disk for %s, and the machine uses it as %s", held, used)
	}
	return nil
}

// Firmware implements drivers.DiskReader.
func (d *Driver) Firmware(ctx context.Context, id fleet.InstanceID) (fleet.Firmware, error) {
	t, err := d.tree(ctx, id)
	if err != nil {
		return "", fmt.Errorf("read firmware of machine %s: %w", id, err)
	}
	if t.seen.OS.Firmware == "efi" || t.seen.OS.Loader.Type == "pflash" {
		return fleet.UEFI, nil
	}
	return "", nil
}
