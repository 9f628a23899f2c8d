package esxi

import (
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/fleet"
)

func TestRunningMachineTakesWhatItsSettingsAllow(t *testing.T) {
	on, off := types.VirtualMachineConfigInfo{CpuHotAddEnabled: new(true), MemoryHotAddEnabled: new(true), HotPlugMemoryLimit: 3072, HotPlugMemoryIncrementSize: 64}, types.VirtualMachineConfigInfo{}
	has := fleet.Resources{VCPUs: 2, MemoryMiB: 1024}
	for _, tt := range []struct {
		name   string
		config types.VirtualMachineConfigInfo
		size   fleet.Resources
		want   string // in the refusal; empty for none
	}{
		{"more of both", on, fleet.Resources{VCPUs: 4, MemoryMiB: 2048}, ""},
		{"the size that it has, without hot add", off, has, ""},
		{"a larger disk alone, without hot add", off, fleet.Resources{VCPUs: 2, MemoryMiB: 1024, DiskGiB: 9}, ""},
		{"vCPUs without hot add", off, fleet.Resources{VCPUs: 3, MemoryMiB: 1024}, "CPU hot add is off"},
		{"memory without hot add", off, fleet.Resources{VCPUs: 2, MemoryMiB: 2048}, "memory hot add is off"},
		{"memory past the limit", on, fleet.Resources{VCPUs: 2, MemoryMiB: 4096}, "at most 3072 MiB"},
		{"memory by an odd step", on, fleet.Resources{VCPUs: 2, MemoryMiB: 1056}, "a multiple of 64 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := takes(&tt.config, has, tt.size)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOnlySmallMachinesAreBuiltToTakeProcessorsWhileTheyRun(t *testing.T) {
	for n, want := range map[int32]bool{1: true, hotAddVCPUs: true, hotAddVCPUs + 1: false} {
		config := types.VirtualMachineConfigSpec{NumCPUs: n}
		hotAdd(&config)
		if isSet(config.CpuHotAddEnabled) != want || !isSet(config.MemoryHotAddEnabled) {
			t.Errorf("%d vCPUs: got %v and %v, want %v and true", n, isSet(config.CpuHotAddEnabled), isSet(config.MemoryHotAddEnabled), want)
		}
	}
}
