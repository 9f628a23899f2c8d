package libvirt

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// content is what a disk begins with: what lies at a path, in this format, or
// zeros.
type content struct{ path, format string }

// makeDisk makes a machine's disk under this name. A file lies over what it
// begins with. A block device gets a copy of it, and zeros after it.
func (d *Driver) makeDisk(ctx context.Context, p places, id fleet.InstanceID, name string, gib int64, begin content) (at lair, err error) {
	if !p.disks.Blocks() {
		vol, err := p.disks.Create(ctx, storage.Disk(name, gib, begin.path, begin.format))
		return lair{path: vol.Key}, err
	}
	vol, err := p.makeBlock(ctx, id, storage.Block(name, gib), begin)
	if err != nil {
		return at, err
	}
	at.blocks = true
	at.path, err = p.disks.PathOf(ctx, vol)
	return at, err
}

// makeBlock makes a block device. Zeros are written to it too, for what was there
// before was somebody's. Libvirt copies of volumes alone, in their own format, and
// so of an empty file over what lies at a path, which is there as long.
func (p places) makeBlock(ctx context.Context, id fleet.InstanceID, v *libvirtxml.StorageVolume, begin content) (vol golibvirt.StorageVol, err error) {
	if p.disks.Sent() {
		return p.sendBlock(ctx, id, v, begin)
	}
	file := storage.Disk(readVolume(id), int64(v.Capacity.Value>>30), begin.path, begin.format)
	over, err := p.makeAnew(ctx, file)
	if err != nil {
		return vol, err
	}
	vol, err = p.disks.Copy(ctx, v, over)
	return vol, p.files.Undo(ctx, err, file.Name)
}

// sendBlock is makeBlock where libvirt copies nothing and a new volume holds
// zeros: what it begins with is made a raw file, and that is sent.
func (p places) sendBlock(ctx context.Context, id fleet.InstanceID, v *libvirtxml.StorageVolume, begin content) (vol golibvirt.StorageVol, err error) {
	if begin.path == "" {
		return p.disks.Create(ctx, v)
	}
	file := storage.Disk(readVolume(id), 0, begin.path, begin.format)
	file.Capacity = nil // that of what it lies over
	over, err := p.makeAnew(ctx, file)
	if err != nil {
		return vol, err
	}
	raw := plainVolume(id)
	vol, err = p.sendOver(ctx, v, over, raw)
	return vol, p.files.Undo(ctx, err, file.Name, raw)
}

func (p places) sendOver(ctx context.Context, v *libvirtxml.StorageVolume, over golibvirt.StorageVol, raw string) (vol golibvirt.StorageVol, err error) {
	_, bytes, err := p.files.Sized(ctx, over.Name)
	if err != nil {
		return vol, err
	}
	if err := p.files.Clear(ctx, raw); err != nil {
		return vol, err
	}
	plain, err := p.files.Copy(ctx, storage.Plain(raw, bytes), over)
	if err != nil {
		return vol, err
	}
	return p.disks.Send(ctx, v, plain, bytes)
}

// makeAnew makes a file in the place of one that was left.
func (p places) makeAnew(ctx context.Context, file *libvirtxml.StorageVolume) (golibvirt.StorageVol, error) {
	if err := p.files.Clear(ctx, file.Name); err != nil {
		return golibvirt.StorageVol{}, err
	}
	return p.files.Create(ctx, file)
}

// imageContent is what the disk of an image holds, zeros where it has none.
func imageContent(ctx context.Context, files *storage.Pool, im *fleet.Image) (content, error) {
	file, ok := im.StoredFile(fleet.RoleDisk)
	if !ok {
		return content{}, nil
	}
	path, err := files.Path(ctx, storage.FileName(im.ID, fleet.RoleDisk))
	if err != nil {
		return content{}, fmt.Errorf("find the disk of image %.12s: %w", im.ID, err)
	}
	return content{path, file.Format}, nil
}
