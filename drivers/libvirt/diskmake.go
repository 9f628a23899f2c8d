package libvirt

import (
	"context"
	"fmt"

	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// content is what a disk begins with: what lies at a path, in this format, or
// zeros.
type content struct{ path, format string }

// makeDisk makes a machine's disk under this name. A file lies over what it
// begins with. A block device gets a copy of it, and zeros after it, for what
// was there before was somebody's; libvirt copies of volumes alone, in their
// own format, and so of an empty file over it, which is there as long.
func (d *Driver) makeDisk(ctx context.Context, p places, id fleet.InstanceID, name string, gib int64, begin content) (at lair, err error) {
	at.blocks = p.disks.Blocks()
	file := storage.Disk(name, gib, begin.path, begin.format)
	if !at.blocks {
		vol, err := p.disks.Create(ctx, file)
		at.path = vol.Key
		return at, err
	}
	file.Name = readVolume(id)
	if err := p.files.Clear(ctx, file.Name); err != nil {
		return at, err
	}
	over, err := p.files.Create(ctx, file)
	if err != nil {
		return at, err
	}
	vol, err := p.disks.Copy(ctx, storage.Block(name, gib), over)
	if err = p.files.Undo(ctx, err, file.Name); err != nil {
		return at, err
	}
	at.path, err = p.disks.PathOf(ctx, vol)
	return at, err
}

// imageContent is what the disk of an image holds, zeros where it has none.
func imageContent(ctx context.Context, files *storage.Pool, im *fleet.Image) (content, error) {
	file, ok := im.StoredFile(fleet.RoleDisk)
	if !ok {
		return content{}, nil
	}
	path, err := files.Path(ctx, storage.FileName(im.ID, fleet.RoleDisk))
	if err != nil {
		return content{}, fmt.Errorf("find the image's disk: %w", err)
	}
	return content{path, file.Format}, nil
}
