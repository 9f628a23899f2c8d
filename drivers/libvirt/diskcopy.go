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

// copying makes a volume as a copy of a disk, of the machine with this id.
func (d *Driver) copying(pool *storage.Pool, o *drivers.Origin, id fleet.InstanceID) func(context.Context, *libvirtxml.StorageVolume) (golibvirt.StorageVol, error) {
	return func(ctx context.Context, volume *libvirtxml.StorageVolume) (golibvirt.StorageVol, error) {
		copied := d.copyOfImage
		if !o.Machine.IsZero() {
			copied = d.copyOfMachine
		}
		vol, err := copied(ctx, pool, o, id, volume)
		if err != nil {
			return vol, err
		}
		return vol, d.stretch(ctx, vol, volume.Capacity.Value)
	}
}

// copyOfMachine copies a disk of another machine, at which nothing else is done
// meanwhile.
func (d *Driver) copyOfMachine(ctx context.Context, pool *storage.Pool, o *drivers.Origin, _ fleet.InstanceID, volume *libvirtxml.StorageVolume) (vol golibvirt.StorageVol, err error) {
	release, err := d.builds.Take(ctx, o.Machine)
	if err != nil {
		return vol, err
	}
	defer release()
	from, _, err := d.idleDisk(ctx, o.Machine, o.Disk)
	if err != nil {
		return vol, fmt.Errorf("find %s of machine %s: %w", o.Disk, o.Machine, err)
	}
	return pool.Copy(ctx, volume, from)
}

// copyOfImage copies the disk of an image. Its volume is bytes to libvirt, and
// what format they are is told by an empty disk over it, which is there as long.
func (d *Driver) copyOfImage(ctx context.Context, pool *storage.Pool, o *drivers.Origin, id fleet.InstanceID, volume *libvirtxml.StorageVolume) (vol golibvirt.StorageVol, err error) {
	im, err := d.storage.Image(ctx, pool, o.Image.ID)
	if err != nil {
		return vol, err
	}
	backing, err := pool.Path(ctx, storage.FileName(im.ID, fleet.RoleDisk))
	if err != nil {
		return vol, fmt.Errorf("find the disk of image %.12s: %w", im.ID, err)
	}
	disk, _ := im.StoredFile(fleet.RoleDisk)
	name := readVolume(id)
	over, err := pool.Create(ctx, storage.Disk(name, fleet.WholeGiB(int64(volume.Capacity.Value)), backing, disk.Format))
	if err == nil {
		vol, err = pool.Copy(ctx, volume, over)
	}
	return vol, pool.Undo(ctx, err, name)
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
	if described.Target != nil && described.Target.Format != nil {
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
