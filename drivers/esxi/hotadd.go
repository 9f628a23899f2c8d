package esxi

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// hotAddVCPUs is up to how many processors a machine is built to take more while
// it runs: the host shows no NUMA to one that may, and it would to a larger one
// (from 9 vCPUs on).
const hotAddVCPUs = 8

// hotAdd lets a machine that is built take more while it runs.
func hotAdd(config *types.VirtualMachineConfigSpec) {
	config.CpuHotAddEnabled = new(config.NumCPUs <= hotAddVCPUs)
	config.MemoryHotAddEnabled = new(true)
}

// ResizableLive implements drivers.LiveResizer.
func (d *Driver) ResizableLive(ctx context.Context, id fleet.InstanceID, size fleet.Resources) error {
	return d.do(ctx, fmt.Sprintf("resize machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		return s.takes(ctx, &m, size)
	})
}

// takes says why a machine cannot get this size as it is now.
func (s *session) takes(ctx context.Context, m *found, size fleet.Resources) error {
	err := drivers.ResizableLive(&m.Machine, size)
	if err != nil || m.Power != fleet.PowerRunning {
		return err
	}
	var vm mo.VirtualMachine
	if err := s.properties().RetrieveOne(ctx, m.ref, []string{"config"}, &vm); err != nil {
		return fmt.Errorf("read what it takes while it runs: %w", err)
	}
	if vm.Config == nil {
		return fmt.Errorf("%w: the host does not say what it takes while it runs", drivers.ErrUnsupported)
	}
	return takes(vm.Config, m.Resources, size)
}

// takes judges by a running machine's own settings, which only a stopped one
// can change.
func takes(config *types.VirtualMachineConfigInfo, has, size fleet.Resources) error {
	more := size.MemoryMiB - has.MemoryMiB
	most, step := config.HotPlugMemoryLimit, config.HotPlugMemoryIncrementSize
	switch {
	case size.VCPUs > has.VCPUs && !isSet(config.CpuHotAddEnabled):
		return drivers.Unfit("its CPU hot add is off, and it takes no more vCPUs while it runs")
	case more > 0 && !isSet(config.MemoryHotAddEnabled):
		return drivers.Unfit("its memory hot add is off, and it takes no more memory while it runs")
	case more > 0 && most > 0 && size.MemoryMiB > most:
		return drivers.Unfit("it takes at most %d MiB of memory while it runs", most)
	case more > 0 && step > 0 && more%step != 0:
		return drivers.Unfit("while it runs its memory grows by a multiple of %d MiB, and not by %d", step, more)
	default:
		return nil
	}
}

func isSet(b *bool) bool { return b != nil && *b }
