package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// snapshotWork is what a task that works on a snapshot does first, so that it
// ends as on a real host.
func snapshotWork(ctx *simulator.Context, method *simulator.Method) func() {
	snapshot, is := ctx.Map.Get(method.This).(*simulator.VirtualMachineSnapshot)
	if !is {
		return nil
	}
	vm, is := ctx.Map.Get(snapshot.Vm).(*simulator.VirtualMachine) // the task holds its lock
	switch {
	case is && method.Name == "RemoveSnapshot_Task":
		return func() { forgetRoot(vm, method.This) }
	case is && method.Name == "RevertToSnapshot_Task":
		return func() { bringBack(ctx, vm, &snapshot.Config.Hardware) }
	default:
		return nil
	}
}

// bringBack gives a machine the processors and the memory of a snapshot: the
// simulator by itself reverts to no configuration.
func bringBack(ctx *simulator.Context, vm *simulator.VirtualMachine, past *types.VirtualHardware) {
	ctx.Update(vm, []types.PropertyChange{
		{Name: "config.hardware.numCPU", Val: past.NumCPU},
		{Name: "config.hardware.memoryMB", Val: past.MemoryMB},
		{Name: "summary.config.numCpu", Val: past.NumCPU},
		{Name: "summary.config.memorySizeMB", Val: past.MemoryMB},
	})
}

// forgetRoot makes no snapshot current where a root is, so that the snapshot
// that a machine goes on from can be removed where it lies upon no other: the
// simulator by itself panics, as it has no parent to name in its place.
func forgetRoot(vm *simulator.VirtualMachine, root types.ManagedObjectReference) {
	if vm.Snapshot == nil || vm.Snapshot.CurrentSnapshot == nil || *vm.Snapshot.CurrentSnapshot != root {
		return
	}
	if slices.ContainsFunc(vm.Snapshot.RootSnapshotList, func(t types.VirtualMachineSnapshotTree) bool { return t.Snapshot == root }) {
		vm.Snapshot.CurrentSnapshot = nil
	}
}
