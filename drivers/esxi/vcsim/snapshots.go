package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// rootRemoval is what a task that removes a snapshot does first, so that the
// snapshot that a machine goes on from can be removed where it lies upon no
// other, as on a real host: the simulator by itself panics, as it has no parent
// to name in its place.
func rootRemoval(ctx *simulator.Context, method *simulator.Method) func() {
	snapshot, is := ctx.Map.Get(method.This).(*simulator.VirtualMachineSnapshot)
	if !is || method.Name != "RemoveSnapshot_Task" {
		return nil
	}
	return func() {
		if vm, is := ctx.Map.Get(snapshot.Vm).(*simulator.VirtualMachine); is {
			forgetRoot(vm, method.This) // the task holds the machine's lock
		}
	}
}

// forgetRoot makes no snapshot current where a root is.
func forgetRoot(vm *simulator.VirtualMachine, root types.ManagedObjectReference) {
	if vm.Snapshot == nil || vm.Snapshot.CurrentSnapshot == nil || *vm.Snapshot.CurrentSnapshot != root {
		return
	}
	if slices.ContainsFunc(vm.Snapshot.RootSnapshotList, func(t types.VirtualMachineSnapshotTree) bool { return t.Snapshot == root }) {
		vm.Snapshot.CurrentSnapshot = nil
	}
}
