package simulated

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.DeviceKeeper = (*Driver)(nil)

// defaultNetwork is what a host without configured networks has.
func defaultNetwork(kind fleet.Hypervisor) string {
	if kind == fleet.ESXi {
		return "VM Network"
	}
	return "default"
}

// devicesOf are the devices that a machine is built with. Those without a
// network of their own are on the host's first.
func (h *Hypervisor) devicesOf(spec *drivers.Spec) []fleet.Device {
	var devices []fleet.Device
	if gib := spec.DiskGiB(); gib > 0 {
		devices = append(devices, fleet.Device{Kind: fleet.DeviceDisk, Name: drivers.DiskName(0), SizeGiB: gib})
	}
	for i, disk := range spec.Disks {
		devices = append(devices, fleet.Device{Kind: fleet.DeviceDisk, Name: drivers.DiskName(i + 1), SizeGiB: disk.SizeGiB})
	}
	for _, card := range spec.Cards {
		devices = append(devices, h.card(card))
	}
	if _, ok := spec.Image.File(fleet.RoleISO); ok {
		devices = append(devices, fleet.Device{Kind: fleet.DeviceISO, Name: drivers.ISOName(0), Image: spec.Image.ID})
	}
	return devices
}

func (h *Hypervisor) card(nic fleet.NIC) fleet.Device {
	if nic.Network == "" {
		nic.Network = h.config.Networks[0]
	}
	return fleet.Device{Kind: fleet.DeviceNIC, Name: nic.MAC, Network: nic.Network, VLAN: nic.VLAN}
}

// hasNetworks says which of the cards' networks the host does not have.
func (h *Hypervisor) hasNetworks(cards ...fleet.NIC) error {
	for _, card := range cards {
		if card.Network != "" && !slices.Contains(h.config.Networks, card.Network) {
			return fmt.Errorf("network %q: %w", card.Network, drivers.ErrNotFound)
		}
	}
	return nil
}

// Devices implements drivers.DeviceKeeper.
func (d *Driver) Devices(ctx context.Context, id fleet.InstanceID) ([]fleet.Device, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("list devices of machine %s: %w", id, err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	m, ok := d.h.machines[id]
	if !ok {
		return nil, fmt.Errorf("list devices of machine %s: %w", id, drivers.ErrNotFound)
	}
	devices := slices.Clone(m.Devices)
	drivers.OrderDevices(devices)
	return devices, nil
}

// AttachDevice implements drivers.DeviceKeeper.
func (d *Driver) AttachDevice(ctx context.Context, id fleet.InstanceID, a drivers.Attachment) error {
	err := d.onDevices(ctx, id, func(m *machine) error {
		if m.device(a.Name) >= 0 {
			return nil
		}
		device, err := d.h.attach(&a)
		if err != nil {
			return err
		}
		m.Devices = append(slices.Clip(m.Devices), device)
		m.setContent(a.Name, diskContent{}) // nothing of one that had the name before
		return nil
	})
	if err != nil {
		return fmt.Errorf("attach %s %s to machine %s: %w", a.Kind, a.Name, id, err)
	}
	return nil
}

// attach makes the device that is to be attached; the caller holds the lock.
func (h *Hypervisor) attach(a *drivers.Attachment) (fleet.Device, error) {
	switch a.Kind {
	case fleet.DeviceDisk:
		return fleet.Device{Kind: a.Kind, Name: a.Name, SizeGiB: a.SizeGiB}, nil
	case fleet.DeviceNIC:
		if a.NIC.VLAN != 0 && h.config.Hypervisor == fleet.ESXi {
			return fleet.Device{}, fmt.Errorf("%w: VLAN %d", drivers.ErrUnsupported, a.NIC.VLAN)
		}
		return h.card(a.NIC), h.hasNetworks(a.NIC)
	case fleet.DeviceISO:
		im, held := h.images[a.Image]
		if _, iso := im.File(fleet.RoleISO); !held || !iso {
			return fleet.Device{}, fmt.Errorf("image %.12s with an ISO: %w", a.Image, drivers.ErrNotFound)
		}
		return fleet.Device{Kind: a.Kind, Name: a.Name, Image: a.Image}, nil
	default:
		return fleet.Device{}, fmt.Errorf("%w: device kind %s", drivers.ErrUnsupported, a.Kind)
	}
}

// DetachDevice implements drivers.DeviceKeeper.
func (d *Driver) DetachDevice(ctx context.Context, id fleet.InstanceID, name string) error {
	err := d.onDevices(ctx, id, func(m *machine) error {
		if name == drivers.DiskName(0) {
			return drivers.ErrFirstDisk
		}
		m.Devices = slices.DeleteFunc(slices.Clone(m.Devices), func(d fleet.Device) bool { return d.Name == name })
		return nil
	})
	if err != nil {
		return fmt.Errorf("detach %s from machine %s: %w", name, id, err)
	}
	return nil
}

// GrowDisk implements drivers.DeviceKeeper.
func (d *Driver) GrowDisk(ctx context.Context, id fleet.InstanceID, name string, gib int64) error {
	err := d.onDevices(ctx, id, func(m *machine) error {
		i := m.device(name)
		if i < 0 || m.Devices[i].Kind != fleet.DeviceDisk {
			return drivers.ErrNotFound
		}
		if err := drivers.Growable(m.Devices[i].SizeGiB, gib); err != nil {
			return err
		}
		if gib > m.Devices[i].SizeGiB && m.Power != fleet.PowerStopped && !d.h.growsRunning() {
			return drivers.ErrUnsupported
		}
		m.Devices = slices.Clone(m.Devices)
		m.Devices[i].SizeGiB = gib
		return nil
	})
	if err != nil {
		return fmt.Errorf("grow %s of machine %s: %w", name, id, err)
	}
	return nil
}

// growsRunning: libvirt has no word with which a disk of a running machine on
// Xen would grow.
func (h *Hypervisor) growsRunning() bool { return h.config.Hypervisor != fleet.Xen }

// onDevices changes the devices of a managed machine, and what its disks take.
func (d *Driver) onDevices(ctx context.Context, id fleet.InstanceID, fn func(*machine) error) error {
	_, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return d.h.changeManaged(id, func(m *machine) error {
		before := m.Resources.DiskGiB
		if err := fn(m); err != nil {
			return err
		}
		m.Resources.DiskGiB = m.disksGiB()
		if m.Resources.DiskGiB == before {
			return nil
		}
		return d.h.growDisk(id, m.Resources.DiskGiB)
	})
}

func (m *machine) device(name string) int {
	return slices.IndexFunc(m.Devices, func(d fleet.Device) bool { return strings.EqualFold(d.Name, name) })
}

func (m *machine) disksGiB() int64 {
	var sum int64
	for _, d := range m.Devices {
		sum += d.SizeGiB
	}
	return sum
}
