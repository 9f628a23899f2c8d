package agent

import (
	"context"
	"fmt"
	"slices"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// RebuildInstance implements api.Writer for the machines of this host.
func (a *Agent) RebuildInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rebuild, key string) (fleet.Accepted, error) {
	if err := ask.Guest.Validate(); err != nil {
		return fleet.Accepted{}, err
	}
	named := a.NameImage(&ask.Image)
	w := &work{verb: fleet.VerbRebuild, key: key, hash: hashOf(ask)}
	if accepted, known, err := a.repeated(id, w); known {
		return accepted, err
	}
	if named != nil {
		return fleet.Accepted{}, named
	}
	if _, err := a.rebuilder(); err != nil {
		return fleet.Accepted{}, err
	}
	var image fleet.Image
	// Where the machine is not here, or not ours, begin says so, and better.
	if m, here := a.observer.Machine(id); here && m.Mark != nil {
		var err error
		if image, err = a.fitsRebuild(ctx, &m.Machine, &ask); err != nil {
			return fleet.Accepted{}, err
		}
	}
	if !ask.Guest.IsZero() {
		w.guest = &ask.Guest
	}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		machine, built := picture.Machines[id]
		if err := ours(row, built); err != nil || !built {
			return err
		}
		w.power, w.image, w.mark = machine.Power, image.ID, machine.Mark.Clone()
		w.mark.Image, w.mark.Rebuilt = image.ID, machine.Mark.Rebuilt+1
		return startable(a, picture, machine.Power)
	})
}

// rebuilder is the driver with its rebuilds, or why there are none here.
func (a *Agent) rebuilder() (drivers.Rebuilder, error) {
	return able[drivers.Rebuilder](a, drivers.FeatureRebuild, "rebuilds no machines")
}

// fitsRebuild says why a machine cannot be rebuilt so, and returns the image
// that it is to be made from.
func (a *Agent) fitsRebuild(ctx context.Context, m *drivers.Machine, ask *fleet.Rebuild) (fleet.Image, error) {
	if m.Mark.Image == "" {
		return fleet.Image{}, errorf(fleet.CodeUnsupported, "instance %s was adopted: its disk was not made from an image, and cannot be made anew", m.ID)
	}
	if err := a.noSnapshots(ctx, m.ID, "they lie in the disk that would be replaced"); err != nil {
		return fleet.Image{}, err
	}
	if d := a.observer.Description(); !ask.Guest.IsZero() && !slices.Contains(d.Features, drivers.FeatureCloudInit) {
		return fleet.Image{}, errorf(fleet.CodeUnsupported, "%s on host %s tells guests nothing by cloud-init", d.Hypervisor, a.name())
	}
	was, err := a.Image(ctx, m.Mark.Image)
	if err != nil {
		return fleet.Image{}, err
	}
	image := was
	if ask.Image != "" {
		if image, err = a.Image(ctx, ask.Image); err != nil {
			return fleet.Image{}, err
		}
	}
	if _, iso := image.File(fleet.RoleISO); iso {
		return fleet.Image{}, errorf(fleet.CodeUnsupported, "image %s is a CD, from which no disk is made; name an image with a disk, or attach the CD with: grapevine instance device attach %s --iso %s", image.Name, m.ID, image.Name)
	}
	if was.BootsKernel() != image.BootsKernel() {
		return fleet.Image{}, errorf(fleet.CodeUnsupported, "image %s %s, and instance %s was made from one that %s", image.Name, boots(&image), m.ID, boots(&was))
	}
	first, err := a.diskZeroGiB(ctx, m)
	if err != nil {
		return fleet.Image{}, err
	}
	if err := drivers.Roomy(first, &image); err != nil {
		return fleet.Image{}, errorf(fleet.CodeInvalid, "instance %s cannot be rebuilt: %v; resize it first", m.ID, err)
	}
	return image, a.within(&image)
}

// boots says how machines of an image come up.
func boots(im *fleet.Image) string {
	if im.BootsKernel() {
		return "boots a kernel"
	}
	return "boots a disk"
}

// within says why an image is neither here nor can be had.
func (a *Agent) within(im *fleet.Image) error {
	if _, err := a.image(im.ID); err == nil {
		return nil
	}
	trait := a.Obtainable(im)
	host := a.hostRow()
	switch {
	case trait == "":
		return errorf(fleet.CodeUnknownImage, "host %s does not hold image %s, and no holder that could give it is heard", a.name(), im.Name)
	case !host.HasTrait(trait):
		return errorf(fleet.CodeUnsupported, "host %s does not hold image %s, and takes none of its kind (it has no %s)", a.name(), im.Name, trait)
	default:
		return nil
	}
}

// diskZeroGiB is the size of the machine's first disk; 0 where it has none.
func (a *Agent) diskZeroGiB(ctx context.Context, m *drivers.Machine) (int64, error) {
	keeper, err := a.deviceKeeper()
	if err != nil {
		return m.Mark.DiskGiB, nil
	}
	devices, err := keeper.Devices(ctx, m.ID)
	if err != nil {
		return 0, driverError("list devices", err)
	}
	for _, d := range devices {
		if d.Name == drivers.DiskName(0) {
			return d.SizeGiB, nil
		}
	}
	return 0, nil
}

// rebuild does what the operation says. A machine that could not be rebuilt goes
// on with its old disk.
func (a *Agent) rebuild(ctx context.Context, op *journal.Operation) error {
	rebuilder, err := a.rebuilder()
	if err != nil {
		return err
	}
	if op.Mark == nil {
		return fmt.Errorf("rebuild: %w", drivers.ErrForeign)
	}
	r := drivers.Rebuild{Mark: *op.Mark, Guest: op.Guest}
	isDone := func(m *drivers.Machine) bool { return r.Done(m.Mark) }
	err = a.exchangeWith(ctx, op, op.Mark.Image, isDone, func(ctx context.Context, image fleet.Image) error {
		r.Image = image
		return rebuilder.Rebuild(ctx, op.Instance, r)
	})
	if err != nil {
		return err
	}
	return a.bringBack(ctx, op)
}
