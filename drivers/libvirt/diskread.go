package libvirt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

var _ drivers.DiskReader = (*Driver)(nil)

// ReadDisk implements drivers.DiskReader: libvirt makes a copy that stands alone,
// and that is what is read. QEMU's locks on disks keep a machine from starting
// while it is made.
func (d *Driver) ReadDisk(ctx context.Context, id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	content, err := d.readDisk(ctx, id, disk)
	if err != nil {
		return nil, fmt.Errorf("read %s of machine %s: %w", disk, id, err)
	}
	return content, nil
}

func (d *Driver) readDisk(ctx context.Context, id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	release, err := d.builds.Take(ctx, id)
	if err != nil {
		return nil, err
	}
	content, err := d.copied(ctx, id, disk)
	if err != nil {
		release()
		return nil, err
	}
	content.release = release
	return &drivers.DiskContent{ReadCloser: content, Format: fleet.FormatQCOW2, Bytes: content.bytes}, nil
}

// copied makes the copy and begins to read it.
func (d *Driver) copied(ctx context.Context, id fleet.InstanceID, disk string) (*copiedDisk, error) {
	from, err := d.idleDisk(ctx, id, disk)
	if err != nil {
		return nil, err
	}
	pool, err := d.storage.Pool(ctx)
	if err != nil {
		return nil, err
	}
	name := readVolume(id)
	if err := pool.Clear(ctx, name); err != nil {
		return nil, err
	}
	c := &copiedDisk{pool: pool, name: name, ctx: ctx}
	vol, err := pool.Copy(ctx, storage.Disk(name, from.gib, "", ""), from.vol)
	if err == nil {
		c.bytes, err = pool.FileBytes(ctx, vol)
	}
	if err == nil {
		c.ReadCloser, err = d.session.Download(ctx, vol, 0, 0)
	}
	if err != nil {
		return nil, pool.Undo(ctx, err, name)
	}
	return c, nil
}

// copiedDisk is the copy of a disk, on its way.
type copiedDisk struct {
	io.ReadCloser
	pool    *storage.Pool
	name    string
	bytes   int64
	ctx     context.Context // for what is done when it is closed
	release func()
}

// Close removes the copy.
func (c *copiedDisk) Close() error {
	defer c.release()
	return c.pool.Undo(c.ctx, c.ReadCloser.Close(), c.name)
}

// idle is a disk that nobody writes to.
type idle struct {
	vol golibvirt.StorageVol
	content
	gib int64
}

// idleDisk finds a disk that nobody writes to.
func (d *Driver) idleDisk(ctx context.Context, id fleet.InstanceID, name string) (found idle, err error) {
	m, err := d.inspect(ctx, id)
	if err != nil {
		return found, err
	}
	if err := drivers.Readable(m); err != nil {
		return found, err
	}
	t, err := d.tree(ctx, id)
	if err != nil {
		return found, err
	}
	if err := d.whole(ctx, t.dom); err != nil {
		return found, err
	}
	disk := t.disk(name)
	if disk == nil || disk.Device == "cdrom" {
		return found, drivers.ErrNotFound
	}
	found.content = content{disk.path(), cmp.Or(disk.Driver.Type, fleet.FormatRaw)}
	if found.path == "" {
		return found, drivers.Unfit("the disk lies in no file and no block device")
	}
	found.vol, err = d.storage.At(ctx, found.path)
	if errors.Is(err, drivers.ErrNotFound) {
		return found, drivers.Unfit("the disk, %s, lies in no storage pool that libvirt knows; define one over it", found.path)
	}
	if err != nil {
		return found, err
	}
	if err := d.sameFormat(ctx, found.vol, disk); err != nil {
		return found, err
	}
	bytes, err := d.diskBytes(ctx, t.dom, *disk)
	found.gib = fleet.WholeGiB(int64(bytes))
	return found, err
}

// whole refuses a machine whose memory was saved to a file when it was stopped:
// its disks are those of a machine that runs.
func (d *Driver) whole(ctx context.Context, dom golibvirt.Domain) error {
	var saved int32
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		saved, err = rpc.DomainHasManagedSaveImage(dom, 0)
		return err
	})
	if errors.Is(err, drivers.ErrUnsupported) {
		return nil
	}
	if err == nil && saved == 1 {
		err = errors.New("the machine's memory was saved when it was stopped; start it, and stop it by its guest")
	}
	return err
}
