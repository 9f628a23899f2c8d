package agent

import (
	"context"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// complete fills in what a clone has of its source and no row tells: the sizes of
// its disks, network cards, and firmware. The source must be stopped already, so
// that whoever asks is told at once.
func (a *Agent) complete(ctx context.Context, p *fleet.Proposal) error {
	if p.Source.IsZero() {
		return nil
	}
	reader, err := a.diskReader()
	if err != nil {
		return err
	}
	rows, _ := a.rows()
	row, err := a.writable(&rows, p.Source)
	if err != nil {
		return err
	}
	_, built := a.observer.Machine(p.Source)
	if err := idle(row, built); err != nil {
		return err
	}
	if row.Task != fleet.TaskNone || !built {
		return errorf(fleet.CodeBusy, "instance %s, which is to be cloned, is %s; wait for it to end", p.Source, row.Task)
	}
	if row.Image != p.Image {
		return errorf(fleet.CodeConflict, "instance %s has changed meanwhile; send the request again", p.Source)
	}
	source, err := a.anatomy(ctx, p.Source)
	if err != nil {
		return err
	}
	p.Disks = nil
	p.DiskGiB = 0
	for i, name := range source.disks {
		size := source.sizes[name]
		p.DiskGiB += size
		if i > 0 || name != drivers.DiskName(0) {
			p.Disks = append(p.Disks, fleet.Disk{SizeGiB: size})
		}
	}
	if len(p.Networks) == 0 {
		p.Networks = source.networks
	}
	if p.Firmware, err = reader.Firmware(ctx, p.Source); err != nil {
		return a.machineError("read firmware", p.Source, err)
	}
	return nil
}

// anatomy is what a machine has that a copy of it needs.
type anatomy struct {
	disks    []string // by number
	sizes    map[string]int64
	networks []fleet.NIC // without the addresses, which are the machine's own
}

// anatomy asks the hypervisor, also where it attaches and detaches nothing.
func (a *Agent) anatomy(ctx context.Context, id fleet.InstanceID) (anatomy, error) {
	keeper, ok := a.driver.(drivers.DeviceKeeper)
	if !ok {
		return anatomy{}, errorf(fleet.CodeUnsupported, "host %s does not tell what devices its machines have", a.name())
	}
	devices, err := keeper.Devices(ctx, id)
	if err != nil {
		return anatomy{}, a.machineError("list devices", id, err)
	}
	out := anatomy{sizes: map[string]int64{}}
	for _, d := range devices {
		switch d.Kind {
		case fleet.DeviceDisk:
			out.disks = append(out.disks, d.Name)
			out.sizes[d.Name] = d.SizeGiB
		case fleet.DeviceNIC:
			out.networks = append(out.networks, fleet.NIC{Network: d.Network, VLAN: d.VLAN})
		case fleet.DeviceISO:
		}
	}
	if len(out.networks) == 0 {
		out.networks = []fleet.NIC{{Network: fleet.NoNetwork}}
	}
	return out, nil
}

// origins are what the disks of a proposed machine begin as, beside its image.
// Done, which the caller calls when the machine is built, lets go of them.
func (a *Agent) origins(ctx context.Context, p *fleet.Proposal) (list []drivers.Origin, done func(), err error) {
	var held []func()
	letAllGo := func() {
		for _, letGo := range held {
			letGo()
		}
	}
	defer func() {
		if err != nil {
			letAllGo()
		}
	}()
	if !p.Source.IsZero() {
		letGo, err := a.lend(p.Source)
		if err != nil {
			return nil, nil, err
		}
		held = append(held, letGo)
		if list, err = a.clonedFrom(ctx, p); err != nil {
			return nil, nil, err
		}
		return list, letAllGo, nil
	}
	list = make([]drivers.Origin, 1+len(p.Disks))
	for i, disk := range p.Disks {
		if disk.Image == "" {
			continue
		}
		letGo, err := a.shelf.use(ctx, disk.Image)
		if err != nil {
			return nil, nil, err
		}
		held = append(held, letGo)
		a.noteUsed(disk.Image)
		if list[i+1].Image, err = a.fetched(ctx, disk.Image); err != nil {
			return nil, nil, err
		}
	}
	return list, letAllGo, nil
}

// clonedFrom pairs the disks of a clone with those of its source.
func (a *Agent) clonedFrom(ctx context.Context, p *fleet.Proposal) ([]drivers.Origin, error) {
	source, err := a.anatomy(ctx, p.Source)
	if err != nil {
		return nil, err
	}
	further := source.disks
	list := make([]drivers.Origin, 1)
	if len(further) > 0 && further[0] == drivers.DiskName(0) {
		list[0] = drivers.Origin{Machine: p.Source, Disk: further[0]}
		further = further[1:]
	}
	if len(further) != len(p.Disks) {
		return nil, fmt.Errorf("instance %s has other disks than when it was to be cloned", p.Source)
	}
	for _, name := range further {
		list = append(list, drivers.Origin{Machine: p.Source, Disk: name})
	}
	return list, nil
}

// lend keeps operations off an instance while others are made of it.
func (a *Agent) lend(id fleet.InstanceID) (done func(), err error) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	if op := a.state.busy[id]; op != nil {
		return nil, errorf(fleet.CodeBusy, "instance %s, which is to be cloned, is %s (operation %s)", id, taskOf(op), op.ID)
	}
	a.state.lent[id]++
	return func() {
		a.state.mu.Lock()
		defer a.state.mu.Unlock()
		if a.state.lent[id]--; a.state.lent[id] == 0 {
			delete(a.state.lent, id)
		}
	}, nil
}
