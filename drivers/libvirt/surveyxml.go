package libvirt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"libvirt.org/go/libvirtxml"

	"grapevine/fleet"
)

// processors is the host's processors as libvirt describes them.
func (c *capabilities) processors() fleet.CPU {
	cpu := fleet.CPU{Model: c.Host.CPU.Model, Flags: []string{}}
	if vendor := c.Host.CPU.Vendor; vendor != "" && !strings.HasPrefix(cpu.Model, vendor) {
		cpu.Model = strings.TrimSpace(vendor + " " + cpu.Model)
	}
	for _, f := range c.Host.CPU.Features {
		cpu.Flags = append(cpu.Flags, f.Name)
	}
	slices.Sort(cpu.Flags)
	t := c.Host.CPU.Topology
	// The sockets are those of one cell.
	cpu.Sockets = t.Sockets * max(len(c.Host.Cells), 1)
	cpu.Cores, cpu.Threads = t.Cores*max(t.Dies, 1), t.Threads
	return cpu
}

// cells is the host's NUMA topology.
func (c *capabilities) cells() []fleet.NUMACell {
	cells := make([]fleet.NUMACell, 0, len(c.Host.Cells))
	for _, cell := range c.Host.Cells {
		cells = append(cells, fleet.NUMACell{ID: cell.ID, CPUs: cell.CPUs.Number, MemoryMiB: cell.Memory.mib()})
	}
	return cells
}

// The classes of PCI devices that are worth naming: their first byte.
const (
	pciNetwork = "0x02"
	pciDisplay = "0x03"
)

// parseDevice reads a PCI device, and says whether it is worth naming: graphics
// cards are, and network cards that can be divided.
func parseDevice(text string) (fleet.HostDevice, bool, error) {
	var seen libvirtxml.NodeDevice
	if err := seen.Unmarshal(text); err != nil {
		return fleet.HostDevice{}, false, fmt.Errorf("parse device XML: %w", err)
	}
	pci := seen.Capability.PCI
	if pci == nil {
		return fleet.HostDevice{}, false, nil
	}
	d := fleet.HostDevice{
		Name:    strings.TrimSpace(named(pci.Vendor) + " " + named(pci.Product)),
		Address: fmt.Sprintf("%04x:%02x:%02x.%x", number(pci.Domain), number(pci.Bus), number(pci.Slot), number(pci.Function)),
	}
	for _, c := range pci.Capabilities {
		if c.VirtFunctions != nil {
			d.VirtualFunctions = max(c.VirtFunctions.MaxCount, len(c.VirtFunctions.Address))
		}
	}
	switch {
	case strings.HasPrefix(pci.Class, pciDisplay):
		d.Kind = "gpu"
	case strings.HasPrefix(pci.Class, pciNetwork) && d.VirtualFunctions > 0:
		d.Kind = "nic"
	default:
		return d, false, nil
	}
	return d, true, nil
}

// named is a vendor's or a product's name, its number where it has none.
func named(n libvirtxml.NodeDeviceIDName) string { return cmp.Or(n.Name, n.ID) }

func number(n *uint) uint {
	if n == nil {
		return 0
	}
	return *n
}
