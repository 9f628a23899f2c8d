package simulated

import (
	"context"
	"fmt"
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Surveyor = (*Driver)(nil)

// Survey implements drivers.Surveyor: a host of two sockets, each with its
// memory, where the number of its CPUs is even.
func (d *Driver) Survey(ctx context.Context) (fleet.Hardware, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return fleet.Hardware{}, fmt.Errorf("survey host: %w", err)
	}
	defer done()
	return d.h.survey(), nil
}

func (h *Hypervisor) survey() fleet.Hardware {
	total, sockets := h.config.Resources, 1
	if total.VCPUs%2 == 0 {
		sockets = 2
	}
	each := int(total.VCPUs) / sockets
	hw := fleet.Hardware{
		CPU:     fleet.CPU{Model: "simulated", Flags: []string{}, Sockets: sockets, Cores: each, Threads: 1},
		Pools:   []fleet.StoragePool{{Name: "simulated", Type: "memory", Active: true, TotalGiB: total.DiskGiB, FreeGiB: h.freeGiB()}},
		Devices: []fleet.HostDevice{},
	}
	for i := range sockets {
		hw.NUMA = append(hw.NUMA, fleet.NUMACell{ID: i, CPUs: each, MemoryMiB: total.MemoryMiB / int64(sockets)})
	}
	for _, name := range slices.Sorted(slices.Values(h.config.Networks)) {
		hw.Networks = append(hw.Networks, fleet.HostNetwork{Name: name, Type: "network", Active: true})
	}
	return hw
}

// freeGiB is the space that no machine's first disk takes.
func (h *Hypervisor) freeGiB() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	free := h.config.Resources.DiskGiB
	for _, gib := range h.disks {
		free -= gib
	}
	return max(free, 0)
}
