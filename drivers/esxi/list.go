package esxi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// What is read of a machine.
const (
	pathMark       = `config.extraConfig["` + markKey + `"]`
	pathGeneration = `config.extraConfig["` + generationKey + `"]`
	pathUUID       = "config.uuid"
	pathFiles      = "config.files.vmPathName"
	pathPower      = "runtime.powerState"
	pathConnection = "runtime.connectionState"
	pathTools      = "guest.toolsRunningStatus"
)

func machinePaths() []string {
	return []string{
		"name", pathUUID, "config.hardware.numCPU", "config.hardware.memoryMB", "config.hardware.device", pathFiles,
		pathPower, pathConnection, "guest.ipAddress", "guest.net", pathTools, pathMark, pathGeneration,
	}
}

// found is a machine with what only this driver needs to know of it.
type found struct {
	drivers.Machine
	ref   types.ManagedObjectReference
	vmx   string // datastore path of its configuration
	tools bool   // the guest runs VMware Tools
}

// List implements drivers.Driver.
func (d *Driver) List(ctx context.Context) ([]drivers.Machine, error) {
	var list []drivers.Machine
	err := d.do(ctx, "list machines", func(ctx context.Context, s *session) error {
		machines, err := d.readAll(ctx, s)
		list = list[:0]
		for _, m := range machines {
			list = append(list, m.Machine)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// machineSpec selects the machines that the host says it has, and of each the
// given properties.
func (s *session) machineSpec(paths []string) types.PropertyFilterSpec {
	return types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{
			Obj:       s.host.Reference(),
			Skip:      new(true),
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "HostSystem", Path: "vm"}},
		}},
		PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: paths}},
	}
}

// readAll returns every machine, ordered by id.
func (d *Driver) readAll(ctx context.Context, s *session) ([]found, error) {
	list, err := d.listed(ctx, s)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b found) int {
		if c := a.ID.Compare(b.ID); c != 0 {
			return c
		}
		return strings.Compare(a.ref.Value, b.ref.Value)
	})
	return d.tellApart(list), nil
}

// tellApart gives a machine that shows the id of another, as a copy of its
// files may, one of its own and no Mark, so that ids stay unique.
func (d *Driver) tellApart(list []found) []found {
	changed := false
	for i := 1; i < len(list); i++ {
		if list[i].ID == list[i-1].ID {
			d.log.Warn("two machines have one BIOS UUID", "instance_id", list[i].ID.String(), "name", list[i].Name)
			list[i].ID, list[i].Mark = d.derivedID(list[i].ref), nil
			changed = true
		}
	}
	if changed {
		slices.SortFunc(list, func(a, b found) int { return a.ID.Compare(b.ID) })
	}
	return list
}

// derivedID names a machine that has no id of its own.
func (d *Driver) derivedID(ref types.ManagedObjectReference) fleet.InstanceID {
	return fleet.NewUUIDv5(hardwareSpace, d.url.Host+" "+ref.Value)
}

// Inspect implements drivers.Driver.
func (d *Driver) Inspect(ctx context.Context, id fleet.InstanceID) (drivers.Machine, error) {
	var m found
	err := d.do(ctx, fmt.Sprintf("inspect machine %s", id), func(ctx context.Context, s *session) (err error) {
		m, err = d.find(ctx, s, id)
		return err
	})
	return m.Machine, err
}

// find reads one machine, or returns ErrNotFound.
func (d *Driver) find(ctx context.Context, s *session, id fleet.InstanceID) (found, error) {
	ref, err := object.NewSearchIndex(s.client).FindByUuid(ctx, nil, id.String(), true, nil)
	if err != nil {
		return found{}, fmt.Errorf("search by uuid: %w", err)
	}
	if ref == nil {
		return found{}, drivers.ErrNotFound
	}
	return d.readOne(ctx, s, ref.Reference())
}

// readOne reads the machine with this reference, or returns ErrNotFound.
func (d *Driver) readOne(ctx context.Context, s *session, ref types.ManagedObjectReference) (found, error) {
	res, err := s.properties().RetrieveProperties(ctx, types.RetrieveProperties{
		SpecSet: []types.PropertyFilterSpec{one(ref, machinePaths()...)},
	})
	if err != nil {
		return found{}, fmt.Errorf("read machine: %w", err)
	}
	if len(res.Returnval) == 0 {
		return found{}, drivers.ErrNotFound
	}
	return d.machine(ref, res.Returnval[0].PropSet), nil
}

// managed is find for machines that may be written to.
func (d *Driver) managed(ctx context.Context, s *session, id fleet.InstanceID) (found, error) {
	m, err := d.find(ctx, s, id)
	if err == nil && m.Mark == nil {
		err = drivers.ErrForeign
	}
	return m, err
}

// machine puts together what was read. A machine whose configuration could not
// be read keeps the id it was last seen with, and its power is unknown.
func (d *Driver) machine(ref types.ManagedObjectReference, set []types.DynamicProperty) found {
	m := found{ref: ref}
	var uuid, mark, generation string
	var power types.VirtualMachinePowerState
	var connection types.VirtualMachineConnectionState
	var address string
	for _, p := range set {
		switch v := p.Val.(type) {
		case types.VirtualMachinePowerState:
			power = v
		case types.VirtualMachineConnectionState:
			connection = v
		case types.ArrayOfVirtualDevice:
			m.Resources.DiskGiB = diskGiB(v.VirtualDevice)
		case types.ArrayOfGuestNicInfo:
			m.Addresses = addresses(v.GuestNicInfo)
		case int32:
			if p.Name == "config.hardware.numCPU" {
				m.Resources.VCPUs = int64(v)
			} else {
				m.Resources.MemoryMiB = int64(v)
			}
		case types.OptionValue:
			text, _ := v.Value.(string)
			if v.Key == markKey {
				mark = text
			} else {
				generation = text
			}
		case string:
			switch p.Name {
			case "name":
				m.Name = v
			case pathUUID:
				uuid = v
			case pathFiles:
				m.vmx = v
			case pathTools:
				m.tools = v == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
			case "guest.ipAddress":
				address = v
			}
		}
	}
	if len(m.Addresses) == 0 && address != "" {
		m.Addresses = []string{address}
	}
	m.ID = d.identify(ref, uuid)
	m.Mark = decodeMark(m.ID, mark, generation)
	m.Power = fleet.PowerUnknown
	if uuid != "" && connection == types.VirtualMachineConnectionStateConnected {
		m.Power = powerOf(power)
	}
	return m
}

// identify returns the machine's id and remembers it.
func (d *Driver) identify(ref types.ManagedObjectReference, uuid string) fleet.InstanceID {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, err := fleet.ParseUUID(uuid)
	if err != nil {
		if known, ok := d.names[ref.Value]; ok {
			return known
		}
		id = d.derivedID(ref)
	}
	d.names[ref.Value] = id
	return id
}

func powerOf(state types.VirtualMachinePowerState) fleet.Power {
	switch state {
	case types.VirtualMachinePowerStatePoweredOn:
		return fleet.PowerRunning
	case types.VirtualMachinePowerStatePoweredOff:
		return fleet.PowerStopped
	case types.VirtualMachinePowerStateSuspended:
		return fleet.PowerSuspended
	default:
		return fleet.PowerUnknown
	}
}

// sizeOf is a disk's size in GiB. Older hosts tell it in KiB alone.
func sizeOf(disk *types.VirtualDisk) int64 {
	return fleet.WholeGiB(max(disk.CapacityInBytes, disk.CapacityInKB<<10))
}

// diskGiB is the size of all disks but that of a rescue, each rounded up.
func diskGiB(devices []types.BaseVirtualDevice) int64 {
	var total int64
	for _, device := range devices {
		if disk, ok := device.(*types.VirtualDisk); ok && !isRescueDisk(disk) {
			total += sizeOf(disk)
		}
	}
	return total
}

func addresses(nics []types.GuestNicInfo) []string {
	var out []string
	for _, nic := range nics {
		out = append(out, nic.IpAddress...)
	}
	return out
}
