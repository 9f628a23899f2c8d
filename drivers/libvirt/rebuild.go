package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

var _ drivers.Rebuilder = (*Driver)(nil)

// Rebuild implements drivers.Rebuilder. Disk and seed have two names each, and
// what is made anew has the one that the domain does not name.
func (d *Driver) Rebuild(ctx context.Context, id fleet.InstanceID, r drivers.Rebuild) error {
	err := d.alone(ctx, id, func(m *drivers.Machine) error {
		p, err := d.places(ctx)
		if err != nil {
			return err
		}
		return d.rebuild(ctx, p, m, &r)
	})
	if err != nil {
		return fmt.Errorf("rebuild machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) rebuild(ctx context.Context, p places, m *drivers.Machine, r *drivers.Rebuild) error {
	if r.Done(m.Mark) {
		return d.tidy(ctx, p, m.ID)
	}
	work, err := d.planRebuild(ctx, p, m, r)
	if err != nil {
		return err
	}
	if err := d.tidy(ctx, p, m.ID); err != nil {
		return err
	}
	err = d.renew(ctx, p, work)
	// What became of a definition whose answer was lost, the domain itself says.
	tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	return errors.Join(err, d.tidy(tidying, p, m.ID))
}

// alone does something to a managed machine while no build of it does.
func (d *Driver) alone(ctx context.Context, id fleet.InstanceID, do func(*drivers.Machine) error) error {
	release, err := d.builds.Take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	m, err := d.inspect(ctx, id)
	if err != nil {
		return err
	}
	if m.Mark == nil {
		return drivers.ErrForeign
	}
	return do(m)
}

// tidyLimit bounds cleaning up, which goes on when its caller has given up.
const tidyLimit = 30 * time.Second

// renewal is a rebuild that can be done.
type renewal struct {
	*drivers.Rebuild
	def   *definition
	first *libvirtxml.DomainDisk // nil of a machine without a disk
	gib   int64
	// Names of the volumes to make.
	disk, seed string
}

// planRebuild finds out whether a machine can be rebuilt so; it changes nothing.
func (d *Driver) planRebuild(ctx context.Context, p places, m *drivers.Machine, r *drivers.Rebuild) (*renewal, error) {
	dom, err := d.lookup(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	held, err := d.storage.Image(ctx, p.files, r.Image.ID)
	if err != nil {
		return nil, err
	}
	r.Image = held
	w := &renewal{Rebuild: r}
	if w.def, err = d.definition(ctx, dom); err != nil {
		return nil, err
	}
	if err := d.ourFirstDisk(ctx, p, m, w); err != nil {
		return nil, err
	}
	if err := drivers.Rebuildable(m, w.gib, &r.Image); err != nil {
		return nil, err
	}
	if boots := w.def.xml.OS != nil && w.def.xml.OS.Kernel != ""; boots != r.Image.BootsKernel() {
		return nil, drivers.Unfit("of machine and image only one boots a kernel")
	}
	w.disk, w.seed = unused(w.def, p.diskNames(m.ID, 0)), unused(w.def, seedVolumes(m.ID))
	switch n, err := d.snapshotCount(ctx, dom); {
	case err != nil:
		return nil, err
	case n > 0:
		return nil, drivers.ErrHasSnapshots
	}
	return w, nil
}

// ourFirstDisk finds the machine's first disk, which must be one that Build made,
// as one of a machine that was adopted is not.
func (d *Driver) ourFirstDisk(ctx context.Context, p places, m *drivers.Machine, w *renewal) error {
	if m.Mark.Image == "" {
		return drivers.Unfit("it was adopted, and its disk was not made from an image")
	}
	t, err := d.tree(ctx, m.ID)
	if err != nil {
		return err
	}
	seen := t.disk(drivers.DiskName(0))
	if seen == nil {
		return nil
	}
	path := seen.path()
	ours, err := p.holds(ctx, path, p.everyName(m.ID, 0)...)
	if err != nil {
		return err
	}
	if !ours {
		return drivers.Unfit("its first disk is not one that was made for it")
	}
	bytes, err := d.diskBytes(ctx, t.dom, *seen)
	if err != nil {
		return err
	}
	w.first, w.gib = w.def.disk(path), fleet.WholeGiB(int64(bytes))
	if w.first == nil {
		return errors.New("its first disk is not that with which it would start")
	}
	return nil
}

// unused is the name of the two that the definition does not name.
func unused(def *definition, names [2]string) string {
	if def.names(names[0]) {
		return names[1]
	}
	return names[0]
}

// renew makes disk and seed and lets the domain have them.
func (d *Driver) renew(ctx context.Context, p places, w *renewal) error {
	guest, err := d.guestOf(ctx, p.files, w)
	if err != nil {
		return err
	}
	spec := &drivers.Spec{Mark: w.Mark, Resources: fleet.Resources{DiskGiB: w.gib}, Image: w.Image, Guest: guest}
	if w.first != nil {
		at, err := d.makeFirstDisk(ctx, p, w.disk, spec)
		if err != nil {
			return err
		}
		d.flavour.lie(w.first, at)
	}
	if err := d.reseed(ctx, p.files, w, spec); err != nil {
		return err
	}
	if err := d.bootFrom(ctx, p.files, w.def, &w.Image); err != nil {
		return err
	}
	if err := w.def.mark(w.Mark); err != nil {
		return err
	}
	return d.define(ctx, w.def)
}

// guestOf is what cloud-init is to find: what was asked for, or what the seed
// says that the machine has.
func (d *Driver) guestOf(ctx context.Context, pool *storage.Pool, w *renewal) (fleet.Guest, error) {
	if w.Guest != nil {
		return *w.Guest, nil
	}
	seed := fileOf(w.def.seed())
	if seed == "" {
		return fleet.Guest{}, nil
	}
	return d.readSeed(ctx, pool, filepath.Base(seed))
}

// reseed makes the seed anew and gives it the old one's place, or the one that a
// seed has.
func (d *Driver) reseed(ctx context.Context, pool *storage.Pool, w *renewal, spec *drivers.Spec) error {
	path, err := d.makeSeed(ctx, pool, w.seed, spec, cardsOf(&w.def.xml))
	if err != nil {
		return err
	}
	disks := &w.def.xml.Devices.Disks
	switch old := w.def.seed(); {
	case path == "":
		*disks = slices.DeleteFunc(*disks, func(disk libvirtxml.DomainDisk) bool { return isSeed(fileOf(&disk)) })
	case old != nil:
		old.Source, old.BackingStore = sourceOf(lair{path: path}), nil
	default:
		*disks = append(*disks, d.flavour.seedXML(path))
	}
	return nil
}

// cardsOf are a domain's network cards, as far as cloud-init is told of them.
func cardsOf(dom *libvirtxml.Domain) []fleet.NIC {
	var cards []fleet.NIC
	for _, card := range dom.Devices.Interfaces {
		if card.MAC != nil {
			cards = append(cards, fleet.NIC{MAC: card.MAC.Address})
		}
	}
	return cards
}

// bootFrom gives a domain that boots a kernel that of the image.
func (d *Driver) bootFrom(ctx context.Context, pool *storage.Pool, def *definition, im *fleet.Image) (err error) {
	if !im.BootsKernel() {
		return nil
	}
	os := def.xml.OS
	os.Cmdline, os.Initrd = im.Cmdline, ""
	if os.Kernel, err = pool.Path(ctx, storage.FileName(im.ID, fleet.RoleKernel)); err != nil {
		return fmt.Errorf("find the image's kernel: %w", err)
	}
	if _, ok := im.File(fleet.RoleInitrd); ok {
		if os.Initrd, err = pool.Path(ctx, storage.FileName(im.ID, fleet.RoleInitrd)); err != nil {
			return fmt.Errorf("find the image's initrd: %w", err)
		}
	}
	return nil
}

// tidy removes of a machine's two disks and two seeds those that it does not
// have.
func (d *Driver) tidy(ctx context.Context, p places, id fleet.InstanceID) error {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return err
	}
	def, err := d.definition(ctx, dom)
	if err != nil {
		return err
	}
	seeds := seedVolumes(id)
	return p.delete(ctx, def.spare(append(p.everyName(id, 0), seeds[:]...)...)...)
}

// maxSeed bounds a seed: all that a guest may be told, many times over. What lies
// by its name in a pool may be anything.
const maxSeed = 4 << 20

// readSeed reads what a seed says.
func (d *Driver) readSeed(ctx context.Context, pool *storage.Pool, name string) (fleet.Guest, error) {
	vol, size, err := pool.Sized(ctx, name)
	if err != nil {
		return fleet.Guest{}, fmt.Errorf("find seed: %w", err)
	}
	if size > maxSeed {
		return fleet.Guest{}, fmt.Errorf("seed %s is %d bytes long, and one that was written for a guest at most %d", name, size, maxSeed)
	}
	content, err := d.session.Download(ctx, vol, 0, size)
	if err != nil {
		return fleet.Guest{}, fmt.Errorf("read seed: %w", err)
	}
	text, err := io.ReadAll(content)
	if err := errors.Join(err, content.Close()); err != nil {
		return fleet.Guest{}, fmt.Errorf("read seed: %w", err)
	}
	return cloudinit.ReadSeed(text)
}
