package libvirt

import (
	"context"
	"errors"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// Build implements drivers.Driver. The domain is defined last, so that a
// machine that is listed is whole; volumes that a crash left behind belong to
// no machine and are made anew.
func (d *Driver) Build(ctx context.Context, spec drivers.Spec) error {
	if err := d.build(ctx, spec); err != nil {
		return fmt.Errorf("build machine %s: %w", spec.Mark.ID, err)
	}
	return nil
}

func (d *Driver) build(ctx context.Context, spec drivers.Spec) error {
	release, err := d.builds.Take(ctx, spec.Mark.ID)
	if err != nil {
		return err
	}
	defer release()
	_, mark, err := d.find(ctx, spec.Mark.ID)
	switch {
	case err == nil && mark == nil:
		return fmt.Errorf("%w: a machine with this id is there already", drivers.ErrForeign)
	case err == nil || !errors.Is(err, drivers.ErrNotFound):
		return err
	}
	p, err := d.places(ctx)
	if err != nil {
		return err
	}
	plan, err := d.plan(ctx, p.files, spec)
	if err != nil {
		return err
	}
	if err := d.assemble(ctx, p, plan); err != nil {
		return p.undo(ctx, err, spec.Mark.ID, len(spec.Disks), consoleName(spec.Mark.ID))
	}
	return nil
}

// plan finds out all that the domain depends on; it changes nothing.
func (d *Driver) plan(ctx context.Context, pool *storage.Pool, spec drivers.Spec) (b blueprint, err error) {
	b.spec = spec
	caps, err := d.capabilities(ctx)
	if err != nil {
		return b, err
	}
	networks, err := d.networks(ctx)
	if err != nil {
		return b, err
	}
	features, err := d.flavour.features(ctx, d, caps, networks)
	if err != nil {
		return b, err
	}
	held, err := d.storage.Image(ctx, pool, spec.Image.ID)
	if err != nil {
		return b, err
	}
	b.spec.Image = held
	if err := drivers.Buildable(&b.spec, features); err != nil {
		return b, err
	}
	guests, err := d.flavour.guests(ctx, d, caps)
	if err != nil {
		return b, err
	}
	b.flavour, b.arch, b.accelerator = d.flavour, caps.Host.CPU.Arch, guests.how
	if b.cards, err = networks.wire(spec.Cards, d.config.Network); err != nil {
		return b, err
	}
	for role, path := range map[fleet.ImageRole]*string{fleet.RoleKernel: &b.kernel, fleet.RoleInitrd: &b.initrd, fleet.RoleISO: &b.iso} {
		if _, ok := held.File(role); !ok {
			continue
		}
		if *path, err = pool.Path(ctx, storage.FileName(held.ID, role)); err != nil {
			return b, fmt.Errorf("find the image's %s: %w", role, err)
		}
	}
	b.name, err = d.freeName(ctx, spec.Mark)
	return b, err
}

// freeName returns the domain's name: the short one, or one with the whole id
// when another machine has that.
func (d *Driver) freeName(ctx context.Context, mark drivers.Mark) (string, error) {
	name := domainName(mark.Name, mark.ID, 8)
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		_, err := rpc.DomainLookupByName(name)
		return err
	})
	switch {
	case err == nil:
		return domainName(mark.Name, mark.ID, 32), nil
	case errors.Is(err, drivers.ErrNotFound):
		return name, nil
	default:
		return "", err
	}
}

// assemble makes the volumes and defines the domain, looking at ctx between
// steps.
func (d *Driver) assemble(ctx context.Context, p places, b blueprint) error {
	var err error
	id := b.spec.Mark.ID
	if err := p.clear(ctx, id, len(b.spec.Disks), consoleName(id)); err != nil {
		return err
	}
	if b.disks, err = d.makeDisks(ctx, p, &b.spec); err != nil {
		return err
	}
	if b.seed, err = d.makeSeed(ctx, p.files, seedName(id), &b.spec, nicsOf(b.cards)); err != nil {
		return err
	}
	if !b.flavour.records(b) {
		// The log is a volume from the start, so that libvirt knows it without
		// looking through the pool.
		console, err := p.files.Create(ctx, storage.Raw(consoleName(id), 0))
		if err != nil {
			return err
		}
		b.console = console.Key
	}
	text, err := domainXML(b)
	if err != nil {
		return err
	}
	d.sizes.forget(golibvirt.UUID(id)) // one of this id that was deleted had its disk where this one's is
	err = d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		_, err := rpc.DomainDefineXML(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("define domain %s: %w", b.name, err)
	}
	return nil
}

// Delete implements drivers.Driver. The domain goes last: while it is there, a
// delete that was interrupted can be seen and done again.
func (d *Driver) Delete(ctx context.Context, id fleet.InstanceID) error {
	if err := d.remove(ctx, id); err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) remove(ctx context.Context, id fleet.InstanceID) error {
	release, err := d.builds.Take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	dom, mark, err := d.find(ctx, id)
	switch {
	case errors.Is(err, drivers.ErrNotFound):
		return d.discard(ctx, id)
	case err != nil:
		return err
	case mark == nil:
		return drivers.ErrForeign
	}
	if err := d.destroy(ctx, dom); err != nil && !errors.Is(err, drivers.ErrNotFound) {
		return err
	}
	if discard := d.flavour.discardLog; discard != nil {
		if err := discard(ctx, d, dom); err != nil {
			return err
		}
	}
	if err := d.discardHeld(ctx, dom); err != nil {
		return err
	}
	if err := d.discard(ctx, id); err != nil {
		return err
	}
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		return rpc.DomainUndefineFlags(dom, d.flavour.undefine)
	})
	if err != nil && !errors.Is(err, drivers.ErrNotFound) {
		return fmt.Errorf("undefine domain: %w", err)
	}
	return nil
}

// discard deletes the volumes that Build made for the machine, and the older
// parts of its console log.
func (d *Driver) discard(ctx context.Context, id fleet.InstanceID) error {
	pool, err := d.storage.Find(ctx)
	if errors.Is(err, drivers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := pool.Refresh(ctx); err != nil {
		return err
	}
	err = pool.Delete(ctx, append(logParts(consoleName(id), d.flavour.rotated), machineVolumes(id, fleet.MaxDisks)...)...)
	if err != nil || !d.storage.Apart() {
		return err
	}
	disks, err := d.storage.Disks(ctx)
	if err != nil {
		return err
	}
	return disks.Delete(ctx, volumesApart(disks, id, fleet.MaxDisks)...)
}
