package agent

import (
	"context"
	"encoding/json"
	"slices"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/view"
)

// MigrateInstance implements api.Writer for the machines of this host.
func (a *Agent) MigrateInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Migrate, key string) (fleet.Accepted, error) {
	w := &work{verb: fleet.VerbMigrate, key: key, hash: hashOf(ask)}
	if accepted, known, err := a.repeated(id, w); known {
		return accepted, err
	}
	move, err := a.draft(ctx, id)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if ask.Host != "" {
		if move.To, err = a.HostNamed(ask.Host); err != nil {
			return fleet.Accepted{}, err
		}
	}
	if move.To, err = a.destination(ctx, &move.Request, move.To, nil); err != nil {
		return fleet.Accepted{}, err
	}
	move.Key, move.KeyHash = w.key, w.hash
	w.moving = &journal.Moving{Move: move, Named: ask.Host != ""}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		if a.state.back.On() {
			return errorf(fleet.CodeQuarantined, "host %s is quarantined, and gives nothing away until that ends", a.name())
		}
		return movable(&machine.Machine)
	})
}

// movable says why a machine cannot be moved.
func movable(m *drivers.Machine) error {
	switch {
	case m.Mark == nil:
		return errorf(fleet.CodeNotManaged, "instance %s is foreign; adopt it first with: grapevine instance adopt %s", m.ID, m.ID)
	case m.Power != fleet.PowerStopped:
		return errorf(fleet.CodeConflict, "instance %s is %s, and only a stopped one is moved; stop it first with: grapevine instance stop %s", m.ID, m.Power, m.ID)
	case !fleet.IsImageID(m.Mark.Image):
		return errorf(fleet.CodeUnsupported, "instance %s was adopted, and no image is known of it that another host could build it on", m.ID)
	case !m.Mark.Group.ID.IsZero():
		return errorf(fleet.CodeUnsupported, "instance %s is in a server group, and such instances are not moved yet", m.ID)
	case m.Mark.Rescue.Is():
		return errorf(fleet.CodeConflict, "instance %s is rescued; end that first with: grapevine instance unrescue %s", m.ID, m.ID)
	default:
		return nil
	}
}

// draft describes a machine of this host as another one needs it, without what
// its disks hold. It says at once what stands in the way.
func (a *Agent) draft(ctx context.Context, id fleet.InstanceID) (fleet.Move, error) {
	teller, err := able[drivers.GuestTeller](a, drivers.FeatureMigrate, "does not move its machines to other hosts")
	if err != nil {
		return fleet.Move{}, err
	}
	rows, _ := a.rows()
	row, err := a.writable(&rows, id)
	if err != nil {
		return fleet.Move{}, err
	}
	_, built := a.observer.Machine(id)
	if err := ours(row, built); err != nil {
		return fleet.Move{}, err
	}
	m, err := a.driver.Inspect(ctx, id)
	if err != nil {
		return fleet.Move{}, a.machineError("look at instance", id, err)
	}
	if err := movable(&m); err != nil {
		return fleet.Move{}, err
	}
	if err := a.noSnapshots(ctx, id, "they would be lost on the way"); err != nil {
		return fleet.Move{}, err
	}
	mark, err := json.Marshal(m.Mark)
	if err != nil {
		return fleet.Move{}, errorf(fleet.CodeInternal, "encode mark: %v", err)
	}
	move := fleet.Move{
		Source: a.hostID, RequestHash: m.Mark.RequestHash, Generation: max(m.Mark.Generation, 1) + 1, Mark: mark,
		Request: fleet.Request{
			ID: id, Name: m.Mark.Name, Project: m.Mark.Project, Flavor: m.Mark.Flavor, Resources: m.Resources, Image: m.Mark.Image,
			Obtain: a.obtainable(ctx, m.Mark.Image), Hypervisor: a.observer.Description().Hypervisor, Labels: m.Mark.Labels,
			Booting: fleet.Booting{Autostart: m.Mark.Autostart, StartOrder: m.Mark.StartOrder},
		},
	}
	if move.Request.Guest, err = teller.Guest(ctx, id); err != nil {
		return fleet.Move{}, a.machineError("read what cloud-init finds", id, err)
	}
	return move, a.fillIn(ctx, &move)
}

// fillIn adds a machine's disks and cards to its description, and what a host must
// be able to do to take them.
func (a *Agent) fillIn(ctx context.Context, move *fleet.Move) error {
	reader, err := a.diskReader()
	if err != nil {
		return err
	}
	keeper, err := a.deviceKeeper()
	if err != nil {
		return err
	}
	req := &move.Request
	if req.Firmware, err = reader.Firmware(ctx, req.ID); err != nil {
		return a.machineError("read firmware", req.ID, err)
	}
	image, err := a.Image(ctx, req.Image)
	if err != nil {
		return err
	}
	req.Traits = []string{fleet.TraitMigrate, view.BootTrait(&image)}
	if req.Firmware == fleet.UEFI {
		req.Traits = append(req.Traits, fleet.TraitUEFI)
	}
	devices, err := keeper.Devices(ctx, req.ID)
	if err != nil {
		return a.machineError("list devices", req.ID, err)
	}
	req.DiskGiB = 0
	for _, d := range devices {
		switch {
		case d.Kind == fleet.DeviceDisk:
			move.Disks = append(move.Disks, fleet.MovedDisk{Device: d.Name, SizeGiB: d.SizeGiB})
			req.DiskGiB += d.SizeGiB
			if d.Name != drivers.DiskName(0) {
				req.Disks = append(req.Disks, fleet.Disk{SizeGiB: d.SizeGiB})
			}
		case d.Kind == fleet.DeviceNIC:
			req.Networks = append(req.Networks, fleet.NIC{Network: d.Network, VLAN: d.VLAN, MAC: d.Name})
			if d.VLAN != 0 && !slices.Contains(req.Traits, fleet.TraitVLAN) {
				req.Traits = append(req.Traits, fleet.TraitVLAN)
			}
		case d.Image != "" && d.Image != req.Image:
			return errorf(fleet.CodeConflict, "instance %s has a CD in its drive, which does not go with it; take it out first with: grapevine instance device detach %s %s", req.ID, req.ID, d.Name)
		}
	}
	if len(req.Networks) == 0 {
		req.Networks = []fleet.NIC{{Network: fleet.NoNetwork}}
	}
	return nil
}

// destination is the host to move an instance to: the one that is named, as far as
// can be seen from here that it would take it, or the best that was not asked yet.
func (a *Agent) destination(ctx context.Context, req *fleet.Request, named fleet.HostID, asked map[fleet.HostID]bool) (fleet.HostID, error) {
	if named == a.hostID {
		return named, errorf(fleet.CodeConflict, "instance %s is on host %s already", req.ID, a.name())
	}
	if named.IsZero() {
		not := map[fleet.HostID]bool{a.hostID: true}
		for host := range asked {
			not[host] = true
		}
		if to, ok := a.Pick(req, not); ok {
			return to, nil
		}
		verdicts := a.Verdicts(req, nil)
		verdicts = slices.DeleteFunc(verdicts, func(v fleet.Verdict) bool { return v.Host == a.hostID })
		return named, &fleet.Error{Code: fleet.CodeRefused, Verdicts: verdicts, Detail: noneTakes(req, verdicts)}
	}
	if _, err := a.Peer(named); err != nil {
		return named, err
	}
	host, err := a.Host(ctx, named)
	if err != nil {
		return named, err
	}
	if refusals := fleet.Fits(&host, req); len(refusals) > 0 {
		return named, refused(&host, refusals)
	}
	return named, nil
}

// noneTakes is the sentence of an instance that no other host takes.
func noneTakes(req *fleet.Request, verdicts []fleet.Verdict) string {
	text := "no other host takes instance " + req.Name
	for i, v := range verdicts {
		if i == fewUsers {
			return text + "; and so on"
		}
		text += "; " + v.String()
	}
	return text
}
