package libvirt

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

var _ drivers.Surveyor = (*Driver)(nil)

// Survey implements drivers.Surveyor. What libvirt lacks a driver for, networks
// say, or devices, is left out.
func (d *Driver) Survey(ctx context.Context) (fleet.Hardware, error) {
	h := fleet.Hardware{Pools: []fleet.StoragePool{}, Networks: []fleet.HostNetwork{}, Devices: []fleet.HostDevice{}}
	caps, err := d.capabilities(ctx)
	if err != nil {
		return h, fmt.Errorf("survey host: %w", err)
	}
	h.CPU, h.NUMA = caps.processors(), caps.cells()
	for what, look := range map[string]func(*golibvirt.Libvirt, *fleet.Hardware) error{
		"storage pools": surveyPools, "networks": surveyNetworks, "bridges": surveyBridges, "devices": surveyDevices,
	} {
		err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return look(rpc, &h) })
		if session.Unanswered(err) {
			return h, fmt.Errorf("survey %s: %w", what, err)
		}
		if err != nil {
			d.log.Debug("part of the host cannot be surveyed", "part", what, "error", err)
		}
	}
	slices.SortFunc(h.Pools, func(a, b fleet.StoragePool) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(h.Networks, func(a, b fleet.HostNetwork) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(h.Devices, func(a, b fleet.HostDevice) int { return cmp.Compare(a.Address, b.Address) })
	return h, nil
}

func surveyPools(rpc *golibvirt.Libvirt, h *fleet.Hardware) error {
	pools, _, err := rpc.ConnectListAllStoragePools(1, 0)
	if err != nil {
		return err
	}
	for _, pool := range pools {
		text, err := rpc.StoragePoolGetXMLDesc(pool, 0)
		if err != nil {
			continue // it is gone since
		}
		var seen libvirtxml.StoragePool
		if err := seen.Unmarshal(text); err != nil {
			return err
		}
		state, capacity, _, available, err := rpc.StoragePoolGetInfo(pool)
		if err != nil {
			continue
		}
		h.Pools = append(h.Pools, fleet.StoragePool{
			Name: pool.Name, Type: seen.Type, Active: golibvirt.StoragePoolState(state) == golibvirt.StoragePoolRunning,
			TotalGiB: int64(capacity >> 30), FreeGiB: int64(available >> 30),
		})
	}
	return nil
}

func surveyNetworks(rpc *golibvirt.Libvirt, h *fleet.Hardware) error {
	networks, _, err := rpc.ConnectListAllNetworks(1, 0)
	if err != nil {
		return err
	}
	for _, network := range networks {
		active, err := rpc.NetworkIsActive(network)
		if err != nil {
			continue // it is gone since
		}
		h.Networks = append(h.Networks, fleet.HostNetwork{Name: network.Name, Type: "network", Active: active == 1})
	}
	return nil
}

// surveyBridges finds the bridges of the system, libvirt's own included.
func surveyBridges(rpc *golibvirt.Libvirt, h *fleet.Hardware) error {
	const both = golibvirt.ConnectListInterfacesActive | golibvirt.ConnectListInterfacesInactive
	interfaces, _, err := rpc.ConnectListAllInterfaces(1, both)
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		text, err := rpc.InterfaceGetXMLDesc(i, 0)
		if err != nil {
			continue // it is gone since
		}
		var seen libvirtxml.Interface
		if err := seen.Unmarshal(text); err != nil {
			return err
		}
		if seen.Bridge == nil {
			continue
		}
		active, err := rpc.InterfaceIsActive(i)
		h.Networks = append(h.Networks, fleet.HostNetwork{Name: i.Name, Type: "bridge", Active: err == nil && active == 1})
	}
	return nil
}

func surveyDevices(rpc *golibvirt.Libvirt, h *fleet.Hardware) error {
	devices, _, err := rpc.ConnectListAllNodeDevices(1, uint32(golibvirt.ConnectListNodeDevicesCapPciDev))
	if err != nil {
		return err
	}
	for _, device := range devices {
		text, err := rpc.NodeDeviceGetXMLDesc(device.Name, 0)
		if err != nil {
			continue // it is gone since
		}
		seen, worthNaming, err := parseDevice(text)
		if err != nil {
			return err
		}
		if worthNaming {
			h.Devices = append(h.Devices, seen)
		}
	}
	return nil
}
