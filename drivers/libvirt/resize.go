package libvirt

import (
	"context"
	"fmt"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Resizer = (*Driver)(nil)

// Resize implements drivers.Resizer. Libvirt takes the parts one by one; each
// can be set again, and the mark comes last.
func (d *Driver) Resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	if err := d.resize(ctx, id, size, mark); err != nil {
		return fmt.Errorf("resize machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) resize(ctx context.Context, id fleet.InstanceID, size fleet.Resources, mark drivers.Mark) error {
	release, err := d.builds.Take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return err
	}
	d.sizes.forget(dom.UUID)
	m, err := d.inspect(ctx, id)
	if err != nil {
		return err
	}
	if err := drivers.Resizable(m, size); err != nil {
		return err
	}
	if size.DiskGiB > m.Resources.DiskGiB {
		if err := d.growFirst(ctx, id, size.DiskGiB-m.Resources.DiskGiB); err != nil {
			return fmt.Errorf("grow its disk: %w", err)
		}
		d.sizes.forget(dom.UUID)
	}
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		if err := setVCPUs(rpc, dom, uint32(size.VCPUs)); err != nil { // bounded by what a host has
			return err
		}
		kib := uint64(size.MemoryMiB) << 10 // not negative
		most := uint32(golibvirt.DomainMemConfig | golibvirt.DomainMemMaximum)
		if err := rpc.DomainSetMemoryFlags(dom, kib, most); err != nil {
			return err
		}
		return rpc.DomainSetMemoryFlags(dom, kib, uint32(golibvirt.DomainMemConfig))
	})
	if err != nil {
		return err
	}
	return d.adopt(ctx, id, mark)
}

// setVCPUs sets how many processors a stopped machine has, and may have: what
// it has may at no moment be more than that.
func setVCPUs(rpc *golibvirt.Libvirt, dom golibvirt.Domain, n uint32) error {
	now := uint32(golibvirt.DomainVCPUConfig)
	most := now | uint32(golibvirt.DomainVCPUMaximum)
	held, err := rpc.DomainGetVcpusFlags(dom, most)
	if err != nil {
		return err
	}
	order := []uint32{most, now}
	if int64(n) < int64(held) {
		slices.Reverse(order)
	}
	for _, flags := range order {
		if err := rpc.DomainSetVcpusFlags(dom, n, flags); err != nil {
			return err
		}
	}
	return nil
}

// growFirst makes a machine's first disk larger by so much. It lies in a
// volume, for Build made it so, or somebody did who uses pools.
func (d *Driver) growFirst(ctx context.Context, id fleet.InstanceID, gib int64) error {
	t, err := d.tree(ctx, id)
	if err != nil {
		return err
	}
	first := t.disk(drivers.DiskName(0))
	if first == nil || first.Source.File == "" {
		return fmt.Errorf("%w: its first disk lies in no file", drivers.ErrUnsupported)
	}
	bytes, err := d.diskBytes(ctx, t.dom, *first)
	if err != nil {
		return err
	}
	return d.enlarge(ctx, t, first, fleet.WholeGiB(int64(bytes))+gib)
}
