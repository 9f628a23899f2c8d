package esxi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Surveyor = (*Driver)(nil)

// Survey implements drivers.Surveyor.
func (d *Driver) Survey(ctx context.Context) (fleet.Hardware, error) {
	var hw fleet.Hardware
	err := d.do(ctx, "survey host", func(ctx context.Context, s *session) (err error) {
		hw, err = s.survey(ctx)
		return err
	})
	return hw, err
}

func (s *session) survey(ctx context.Context) (fleet.Hardware, error) {
	hw := fleet.Hardware{NUMA: []fleet.NUMACell{}, Pools: []fleet.StoragePool{}, Networks: []fleet.HostNetwork{}, Devices: []fleet.HostDevice{}}
	var host mo.HostSystem
	if err := s.properties().RetrieveOne(ctx, s.host.Reference(), []string{"summary.hardware", "hardware", "datastore"}, &host); err != nil {
		return hw, fmt.Errorf("read hardware: %w", err)
	}
	hw.CPU = processors(host.Summary.Hardware)
	if host.Hardware != nil {
		hw.NUMA = append(hw.NUMA, cells(host.Hardware.NumaInfo)...)
		hw.Devices = append(hw.Devices, graphics(host.Hardware.PciDevice)...)
	}
	names, err := s.networks(ctx)
	if err != nil {
		return hw, err
	}
	for _, name := range names {
		hw.Networks = append(hw.Networks, fleet.HostNetwork{Name: name, Type: "portgroup", Active: true})
	}
	stores, err := s.stores(ctx, host.Datastore)
	hw.Pools = append(hw.Pools, stores...)
	return hw, err
}

func processors(hw *types.HostHardwareSummary) fleet.CPU {
	cpu := fleet.CPU{Flags: []string{}}
	if hw == nil || hw.NumCpuPkgs == 0 || hw.NumCpuCores == 0 {
		return cpu
	}
	cpu.Model = strings.Join(strings.Fields(hw.CpuModel), " ")
	cpu.Sockets = int(hw.NumCpuPkgs)
	cpu.Cores = int(hw.NumCpuCores / hw.NumCpuPkgs)
	cpu.Threads = int(hw.NumCpuThreads / hw.NumCpuCores)
	return cpu
}

func cells(numa *types.HostNumaInfo) (cells []fleet.NUMACell) {
	if numa == nil {
		return nil
	}
	for _, node := range numa.NumaNode {
		cells = append(cells, fleet.NUMACell{ID: int(node.TypeId), CPUs: len(node.CpuID), MemoryMiB: node.MemorySize >> 20})
	}
	return cells
}

// graphics are the devices of the PCI class of displays.
func graphics(devices []types.HostPciDevice) (found []fleet.HostDevice) {
	const display = 0x03
	for _, dev := range devices {
		if dev.ClassId>>8 == display {
			found = append(found, fleet.HostDevice{Kind: "gpu", Name: strings.TrimSpace(dev.VendorName + " " + dev.DeviceName), Address: dev.Id})
		}
	}
	slices.SortFunc(found, func(a, b fleet.HostDevice) int { return cmp.Compare(a.Address, b.Address) })
	return found
}

// stores are the host's datastores, by name.
func (s *session) stores(ctx context.Context, refs []types.ManagedObjectReference) ([]fleet.StoragePool, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	var list []mo.Datastore
	if err := s.properties().Retrieve(ctx, refs, []string{"summary"}, &list); err != nil {
		return nil, fmt.Errorf("read datastores: %w", err)
	}
	pools := make([]fleet.StoragePool, 0, len(list))
	for _, store := range list {
		sum := store.Summary
		pools = append(pools, fleet.StoragePool{
			Name: sum.Name, Type: sum.Type, Active: sum.Accessible, TotalGiB: sum.Capacity >> 30, FreeGiB: sum.FreeSpace >> 30,
		})
	}
	slices.SortFunc(pools, func(a, b fleet.StoragePool) int { return cmp.Compare(a.Name, b.Name) })
	return pools, nil
}
