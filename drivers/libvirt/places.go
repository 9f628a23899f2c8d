package libvirt

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// places are a host's storage pools: that of files, and that of machines'
// disks, which is the same where no other one is configured.
type places struct{ files, disks *storage.Pool }

func (d *Driver) places(ctx context.Context) (p places, err error) {
	if p.files, err = d.storage.Pool(ctx); err != nil {
		return p, err
	}
	p.disks = p.files
	if d.storage.Apart() {
		p.disks, err = d.storage.Disks(ctx)
	}
	return p, err
}

// apart reports whether the two are not the same.
func (p places) apart() bool { return p.disks != p.files }

// pools are the two, or the one.
func (p places) pools() []*storage.Pool {
	if p.apart() {
		return []*storage.Pool{p.files, p.disks}
	}
	return []*storage.Pool{p.files}
}

// lair is where a disk lies: a qcow2 file, or a block device that is the disk.
type lair struct {
	path   string
	blocks bool
}

// diskNames are the two names that the volume of a machine's disk with this
// number, from 0, can have: what takes a disk's place is made beside it.
func (p places) diskNames(id fleet.InstanceID, number int) [2]string {
	return diskNames(p.disks, id, number)
}

func diskNames(in *storage.Pool, id fleet.InstanceID, number int) [2]string {
	file := fileNames(id, number)
	if !in.Blocks() {
		return file
	}
	return [2]string{strings.TrimSuffix(file[0], qcow2), strings.TrimSuffix(file[1], qcow2)}
}

// everyName are all names that the volume of that disk can have, in whatever pool
// it is.
func (p places) everyName(id fleet.InstanceID, number int) []string {
	files := fileNames(id, number)
	if !p.disks.Blocks() {
		return files[:]
	}
	blocks := p.diskNames(id, number)
	return append(files[:], blocks[:]...)
}

// volumesApart are the names of all volumes that a machine with so many further
// disks may have in a pool of disks alone.
func volumesApart(in *storage.Pool, id fleet.InstanceID, further int) (names []string) {
	for number := range further + 1 {
		pair := diskNames(in, id, number)
		names = append(names, pair[:]...)
	}
	return names
}

// clear deletes the volumes that a machine with so many further disks may have,
// when libvirt lets go of them, and others in the pool of files.
func (p places) clear(ctx context.Context, id fleet.InstanceID, further int, more ...string) error {
	err := p.files.Clear(ctx, append(machineVolumes(id, further), more...)...)
	if err == nil && p.apart() {
		err = p.disks.Clear(ctx, volumesApart(p.disks, id, further)...)
	}
	return err
}

// undo deletes them because of an error, which it returns.
func (p places) undo(ctx context.Context, failed error, id fleet.InstanceID, further int, more ...string) error {
	if p.apart() {
		failed = p.disks.Undo(ctx, failed, volumesApart(p.disks, id, further)...)
	}
	return p.files.Undo(ctx, failed, append(machineVolumes(id, further), more...)...)
}

// delete deletes volumes of these names, wherever they are.
func (p places) delete(ctx context.Context, names ...string) error {
	var errs []error
	for _, pool := range p.pools() {
		errs = append(errs, pool.Delete(ctx, names...))
	}
	return errors.Join(errs...)
}

// holds reports whether a volume of one of these names lies at this path.
func (p places) holds(ctx context.Context, path string, names ...string) (bool, error) {
	for _, pool := range p.pools() {
		for _, name := range names {
			if name != filepath.Base(path) {
				continue
			}
			at, err := pool.Path(ctx, name)
			if err != nil && !errors.Is(err, drivers.ErrNotFound) {
				return false, err
			}
			if err == nil && at == path {
				return true, nil
			}
		}
	}
	return false, nil
}

// discardHeld deletes the volumes that a domain's own disks are, also those of
// a pool that is not used any more. Disks that somebody else made stay.
func (d *Driver) discardHeld(ctx context.Context, dom golibvirt.Domain) error {
	def, err := d.definition(ctx, dom)
	if err != nil {
		return err
	}
	var errs []error
	for i := range def.xml.Devices.Disks {
		if path := pathOf(&def.xml.Devices.Disks[i]); isOurDisk(path, fleet.InstanceID(dom.UUID)) {
			errs = append(errs, d.storage.DeleteAt(ctx, path))
		}
	}
	return errors.Join(errs...)
}

// isOurDisk reports whether what lies at this path has a name that we give to
// disks of this machine.
func isOurDisk(path string, id fleet.InstanceID) bool {
	return strings.HasPrefix(filepath.Base(path), diskPrefix+id.String())
}

// pathOf is the file or the block device of a disk, empty where it is neither.
func pathOf(disk *libvirtxml.DomainDisk) string {
	switch {
	case disk == nil || disk.Source == nil:
		return ""
	case disk.Source.File != nil:
		return disk.Source.File.File
	case disk.Source.Block != nil:
		return disk.Source.Block.Dev
	default:
		return ""
	}
}
