package libvirt

import (
	"context"
	"fmt"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.LiveResizer = (*Driver)(nil)

// Resize implements drivers.LiveResizer. The parts come one by one; each can be
// done again, and the mark comes last.
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
	m, t, err := d.resizable(ctx, id, size)
	if err != nil {
		return err
	}
	if size.DiskGiB > m.Resources.DiskGiB {
		if err := d.growFirst(ctx, t, size.DiskGiB-m.Resources.DiskGiB); err != nil {
			return fmt.Errorf("grow its disk: %w", err)
		}
		d.sizes.forget(dom.UUID)
	}
	switch {
	case m.Power == fleet.PowerRunning:
		err = d.enlargeLive(ctx, t, size)
	case d.flavour.headroom:
		err = d.redefine(ctx, t, size, m.Mark.Image != "")
	default:
		err = d.setSize(ctx, t.dom, size)
	}
	if err != nil {
		return err
	}
	return d.adopt(ctx, id, mark)
}

// ResizableLive implements drivers.LiveResizer.
func (d *Driver) ResizableLive(ctx context.Context, id fleet.InstanceID, size fleet.Resources) error {
	if _, _, err := d.resizable(ctx, id, size); err != nil {
		return fmt.Errorf("resize machine %s: %w", id, err)
	}
	return nil
}

// resizable returns the machine and its domain where it can get this size as it
// is now.
func (d *Driver) resizable(ctx context.Context, id fleet.InstanceID, size fleet.Resources) (*drivers.Machine, *tree, error) {
	m, err := d.inspect(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	judge := drivers.Resizable
	if d.flavour.headroom {
		judge = drivers.ResizableLive
	}
	if err := judge(m, size); err != nil {
		return nil, nil, err
	}
	t, err := d.tree(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if m.Power == fleet.PowerRunning {
		err = t.seen.takes(size)
	}
	if err == nil {
		err = growsNow(t, m, size)
	}
	return m, t, err
}

// enlargeLive gives a machine that runs what it lacks of a size that it takes.
// Memory comes first: it may be refused for want of the host's.
func (d *Driver) enlargeLive(ctx context.Context, t *tree, size fleet.Resources) error {
	if more := size.MemoryMiB - t.seen.Memory.mib(); more > 0 {
		if err := d.plug(ctx, t, stick(more)); err != nil {
			return fmt.Errorf("plug in memory: %w", err)
		}
	}
	if size.VCPUs <= t.seen.VCPUs() {
		return nil
	}
	return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		return rpc.DomainSetVcpusFlags(t.dom, uint32(size.VCPUs), uint32(golibvirt.DomainVCPUConfig|golibvirt.DomainVCPULive)) // bounded by what a host has
	})
}

// redefine gives a stopped machine processors and memory in one step.
func (d *Driver) redefine(ctx context.Context, t *tree, size fleet.Resources, built bool) error {
	return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		text, err := rpc.DomainGetXMLDesc(t.dom, golibvirt.DomainXMLInactive|golibvirt.DomainXMLSecure)
		if err != nil {
			return err
		}
		var dom libvirtxml.Domain
		if err := dom.Unmarshal(text); err != nil {
			return fmt.Errorf("read domain XML: %w", err)
		}
		if err := relay(&dom, size, built); err != nil {
			return err
		}
		if text, err = dom.Marshal(); err != nil {
			return fmt.Errorf("write domain XML: %w", err)
		}
		_, err = rpc.DomainDefineXML(text)
		return err
	})
}

// setSize gives a stopped machine processors and memory, and no room for more.
func (d *Driver) setSize(ctx context.Context, dom golibvirt.Domain, size fleet.Resources) error {
	return d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
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
func (d *Driver) growFirst(ctx context.Context, t *tree, gib int64) error {
	first := t.disk(drivers.DiskName(0))
	if first == nil || first.path() == "" {
		return drivers.Unfit("its first disk lies in no file and no block device")
	}
	bytes, err := d.diskBytes(ctx, t.dom, *first)
	if err != nil {
		return err
	}
	return d.enlarge(ctx, t, first, fleet.WholeGiB(int64(bytes))+gib)
}
