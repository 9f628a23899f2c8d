package vcsim

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/fleet"
)

// Boots is what a machine's order of booting names, in that order: the files of
// disks and CDs, the addresses of cards.
func (h *Host) Boots(id fleet.InstanceID) ([]string, error) {
	client, err := h.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := deadline()
	defer cancel()
	vm, err := machine(ctx, client.Client, id)
	if err != nil {
		return nil, err
	}
	boots, err := vm.BootOptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the order of booting: %w", err)
	}
	devices, err := vm.Device(ctx)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	var names []string
	for _, device := range devices.SelectBootOrder(boots.BootOrder) {
		switch v := device.(type) {
		case types.BaseVirtualEthernetCard:
			names = append(names, v.GetVirtualEthernetCard().MacAddress)
		default:
			if file, ok := device.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
				names = append(names, file.GetVirtualDeviceFileBackingInfo().FileName)
			}
		}
	}
	return names, nil
}

// BootFromNetwork makes a machine boot from its first card, as a person would.
func (h *Host) BootFromNetwork(id fleet.InstanceID) error {
	return h.act(id, func(ctx context.Context, vm *object.VirtualMachine) (*object.Task, error) {
		devices, err := vm.Device(ctx)
		if err != nil {
			return nil, err
		}
		order := devices.BootOrder([]string{object.DeviceTypeEthernet})
		return vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{BootOptions: &types.VirtualMachineBootOptions{BootOrder: order}})
	})
}
