package esxi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/fleet"
)

func TestUsageIsThatOfMachinesThatAreOn(t *testing.T) {
	id := fleet.UUID{0x42, 1}
	props := func(state types.VirtualMachinePowerState) []types.DynamicProperty {
		return []types.DynamicProperty{
			{Name: pathQuickStats, Val: types.VirtualMachineQuickStats{OverallCpuUsage: 250, HostMemoryUsage: 512, GuestMemoryUsage: 40}},
			{Name: pathUUID, Val: id.String()},
			{Name: pathPower, Val: state},
		}
	}
	got, used, ok := usageOf(props(types.VirtualMachinePowerStatePoweredOn))
	if !ok || got != id {
		t.Fatalf("got %s, %v; want machine %s", got, ok, id)
	}
	if diff := cmp.Diff(fleet.Usage{CPUHertz: new(int64(250_000_000)), MemoryBytes: new(int64(512 << 20))}, used); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	if _, _, ok := usageOf(props(types.VirtualMachinePowerStatePoweredOff)); ok {
		t.Error("a machine that is off has a usage")
	}
}
