package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// addSnapshotRemoval lets the snapshot that a machine goes on from be removed
// where it lies upon no other, as a real host does: the simulator by itself
// panics, as it has no parent to name in its place.
func (h *Host) addSnapshotRemoval() {
	h.model.Map().Handler = func(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
		snapshot, is := ctx.Map.Get(method.This).(*simulator.VirtualMachineSnapshot)
		if !is || method.Name != "RemoveSnapshot_Task" {
			return nil, nil
		}
		if vm, is := ctx.Map.Get(snapshot.Vm).(*simulator.VirtualMachine); is {
			ctx.WithLock(vm, func() { forgetRoot(vm, method.This) })
		}
		return nil, nil
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
