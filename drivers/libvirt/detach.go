package libvirt

import (
	"context"
	"fmt"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// DetachDevice implements drivers.DeviceKeeper.
func (d *Driver) DetachDevice(ctx context.Context, id fleet.InstanceID, name string) error {
	if err := d.changing(ctx, id, func(t *tree) error { return d.detach(ctx, t, id, name) }); err != nil {
		return fmt.Errorf("detach %s from machine %s: %w", name, id, err)
	}
	return nil
}

func (d *Driver) detach(ctx context.Context, t *tree, id fleet.InstanceID, name string) error {
	if name == drivers.DiskName(0) {
		return drivers.ErrFirstDisk
	}
	disk, card := t.disk(name), t.card(name)
	switch {
	case disk != nil && disk.Device == "cdrom":
		if disk.Source.File == "" {
			return nil
		}
		empty := driveXML("", disk.place())
		return d.update(ctx, t, &empty)
	case disk != nil:
		unplug := libvirtxml.DomainDisk{
			Device: "disk", Source: sourceOf(lair{disk.path(), disk.Source.Dev != ""}),
			Target: &libvirtxml.DomainDiskTarget{Dev: disk.Target.Dev},
		}
		if err := d.unplug(ctx, t, id, name, &unplug); err != nil {
			return err
		}
		return d.discardDisk(ctx, id, name)
	case card != nil:
		return d.unplug(ctx, t, id, name, &libvirtxml.DomainInterface{
			MAC: &libvirtxml.DomainInterfaceMAC{Address: card.MAC.Address}, Source: card.source(),
		})
	}
	return d.discardDisk(ctx, id, name) // what a crash has left of it
}

// source names what a card is on, as libvirt wants it.
func (s *seenInterface) source() *libvirtxml.DomainInterfaceSource {
	if s.Source.Network != "" {
		return &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: s.Source.Network}}
	}
	return &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: s.Source.Bridge}}
}

// discardDisk removes the volume of a disk that we made.
func (d *Driver) discardDisk(ctx context.Context, id fleet.InstanceID, name string) error {
	number, ok := drivers.DiskNumber(name)
	if !ok || number == 0 {
		return nil
	}
	p, err := d.places(ctx)
	if err != nil {
		return err
	}
	return p.delete(ctx, p.everyName(id, number)...)
}

// letGo is how long a guest may take to let go of a device.
const letGo = 20 * time.Second

// unplug takes a device off: off a machine that is active first, whose guest
// has to let go of it, and then off what it is defined to have.
func (d *Driver) unplug(ctx context.Context, t *tree, id fleet.InstanceID, name string, dev device) error {
	text, err := dev.Marshal()
	if err != nil {
		return fmt.Errorf("write device XML: %w", err)
	}
	remove := func(from golibvirt.DomainDeviceModifyFlags) error {
		return d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
			return rpc.DomainDetachDeviceFlags(t.dom, text, uint32(from))
		})
	}
	if t.active {
		if err := remove(golibvirt.DomainDeviceModifyLive); err != nil {
			return err
		}
		if err := d.awaitGone(ctx, id, name); err != nil {
			return err
		}
	}
	return remove(golibvirt.DomainDeviceModifyConfig)
}

// awaitGone waits until the machine does not have the device any more.
func (d *Driver) awaitGone(ctx context.Context, id fleet.InstanceID, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, letGo, fmt.Errorf("the guest did not let go of it within %s", letGo))
	defer cancel()
	for {
		t, err := d.tree(ctx, id)
		if err != nil {
			return err
		}
		if t.disk(name) == nil && t.card(name) == nil {
			return nil
		}
		if !pause.For(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}
