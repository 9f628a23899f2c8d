package esxi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/fleet"
)

var _ drivers.Rebuilder = (*Driver)(nil)

// Rebuild implements drivers.Rebuilder. The first disk has two names, and what
// is copied anew has the one that the machine does not name; the host takes
// disk, mark and what cloud-init is told in one task.
func (d *Driver) Rebuild(ctx context.Context, id fleet.InstanceID, r drivers.Rebuild) error {
	return d.alone(ctx, "rebuild", id, func(ctx context.Context, s *session, m found) error {
		if r.Done(m.Mark) {
			return s.tidyDisks(ctx, m)
		}
		w, err := s.planRebuild(ctx, m, r)
		if err != nil {
			return err
		}
		if err := s.tidyDisks(ctx, m); err != nil {
			return err
		}
		err = classify(s.exchange(ctx, m, w))
		if isUnavailable(err) {
			return err // what the host still does is for the next try to find out
		}
		undoing, cancel := steady(ctx)
		defer cancel()
		return errors.Join(err, s.tidyDisks(undoing, m))
	})
}

// alone does something to a managed machine while nothing else does, also
// nothing that was cut short before.
func (d *Driver) alone(ctx context.Context, verb string, id fleet.InstanceID, do func(context.Context, *session, found) error) error {
	return d.do(ctx, fmt.Sprintf("%s machine %s", verb, id), func(ctx context.Context, s *session) error {
		unlock, err := d.builds.Take(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		if err := s.ended(ctx, diskTasks...); err != nil {
			return err
		}
		m, err := d.managed(ctx, s, id)
		if err != nil {
			return err
		}
		return do(ctx, s, m)
	})
}

// diskTasks are the tasks that a rebuild or a rescue cut short may have left under way: a
// real host's, and the simulator's name for the same.
var diskTasks = []string{"VirtualDiskManager.copyVirtualDisk", "VirtualDiskManager.extendVirtualDisk", "VirtualMachine.reconfigure", "VirtualMachine.reconfigVm"}

// firstFiles are the two names that a machine's first disk can have.
func firstFiles(id fleet.InstanceID) []string {
	folder := machineFolder(id) + "/"
	return []string{folder + diskFile, folder + drivers.DiskName(0) + ".vmdk"}
}

// exchange is a rebuild that can be done.
type exchange struct {
	drivers.Rebuild
	devices object.VirtualDeviceList
	first   *types.VirtualDisk
	file    string // of the new disk, relative to the datastore's root
}

// planRebuild finds out whether a machine can be rebuilt so; it changes nothing.
func (s *session) planRebuild(ctx context.Context, m found, r drivers.Rebuild) (*exchange, error) {
	held, err := s.heldImage(ctx, r.Image.ID)
	if err != nil {
		return nil, err
	}
	r.Image = held
	if _, disk := held.File(fleet.RoleDisk); !disk {
		return nil, drivers.Unfit("the image has no disk to make one from")
	}
	if err := drivers.Bootable(held, features); err != nil {
		return nil, err
	}
	w := &exchange{Rebuild: r}
	if w.devices, err = s.devices(ctx, m.ref); err != nil {
		return nil, err
	}
	w.first, _ = deviceNamed(w.devices, drivers.DiskName(0)).(*types.VirtualDisk)
	files := firstFiles(m.ID)
	switch {
	case m.Mark.Image == "":
		return nil, drivers.Unfit("it was adopted, and its disk was not made from an image")
	case w.first == nil:
		return nil, drivers.Roomy(0, &held)
	}
	switch fileOf(w.first) {
	case s.datastore.Path(files[0]):
		w.file = files[1]
	case s.datastore.Path(files[1]):
		w.file = files[0]
	}
	pasts, err := s.pasts(ctx, m.ref)
	switch {
	case err != nil:
		return nil, err
	case len(pasts) > 0:
		return nil, drivers.ErrHasSnapshots
	case w.file == "":
		return nil, drivers.Unfit("its first disk is not one that was made for it")
	}
	return w, drivers.Rebuildable(&m.Machine, sizeOf(w.first), &held)
}

// exchange makes the new disk and lets the machine have it.
func (s *session) exchange(ctx context.Context, m found, w *exchange) error {
	guest, err := s.guestOf(ctx, m, w)
	if err != nil {
		return err
	}
	disk, _ := w.Image.File(fleet.RoleDisk)
	size := max(w.first.CapacityInBytes, w.first.CapacityInKB<<10, disk.VirtualBytes)
	if err := s.copyLarge(ctx, s.datastore.Path(imageFolder(w.Image.ID)+"/"+diskFile), w.file, size); err != nil {
		return err
	}
	options, err := markOptions(w.Mark)
	if err != nil {
		return err
	}
	told, err := guestOptions(&drivers.Spec{Mark: w.Mark, Image: w.Image, Guest: guest, Cards: cardsOf(w.devices)})
	if err != nil {
		return err
	}
	spec := types.VirtualMachineConfigSpec{DeviceChange: s.exchanged(w, size), ExtraConfig: append(options, told...)}
	err = s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualMachine(s.client, m.ref).Reconfigure(ctx, spec)
	})
	if err != nil {
		return fmt.Errorf("exchange disks: %w", err)
	}
	return nil
}

// exchanged are the changes that put the new disk in the old one's place. Files
// are left alone: the old one is removed when the machine has the new one.
func (s *session) exchanged(w *exchange, size int64) []types.BaseVirtualDeviceConfigSpec {
	disk := w.devices.CreateDisk(&types.VirtualController{VirtualDevice: types.VirtualDevice{Key: w.first.ControllerKey}}, s.datastore.Reference(), s.datastore.Path(w.file))
	disk.ControllerKey, disk.UnitNumber, disk.CapacityInKB = w.first.ControllerKey, w.first.UnitNumber, size>>10
	return []types.BaseVirtualDeviceConfigSpec{
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationRemove, Device: w.first},
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: disk},
	}
}

// guestOf is what cloud-init is to find: what was asked for, or what the machine
// tells it now.
func (s *session) guestOf(ctx context.Context, m found, w *exchange) (fleet.Guest, error) {
	if w.Guest != nil {
		return *w.Guest, nil
	}
	options, err := s.options(ctx, m.ref)
	if err != nil {
		return fleet.Guest{}, err
	}
	return cloudinit.ReadGuestInfo(options)
}

// cardsOf are a machine's network cards, as far as cloud-init is told of them.
func cardsOf(devices object.VirtualDeviceList) []fleet.NIC {
	var cards []fleet.NIC
	for _, device := range devices {
		if card, ok := device.(types.BaseVirtualEthernetCard); ok {
			cards = append(cards, fleet.NIC{MAC: card.GetVirtualEthernetCard().MacAddress})
		}
	}
	return cards
}

// tidyDisks removes of a machine's two first disks the one that it does not have.
func (s *session) tidyDisks(ctx context.Context, m found) error {
	devices, err := s.devices(ctx, m.ref)
	if err != nil {
		return err
	}
	for _, file := range firstFiles(m.ID) {
		has := slices.ContainsFunc(devices, func(d types.BaseVirtualDevice) bool { return fileOf(d) == s.datastore.Path(file) })
		if has {
			continue
		}
		if err := s.removeDisk(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// removeDisk removes a disk that no machine has, also one that was never whole,
// for which the host itself has no word.
func (s *session) removeDisk(ctx context.Context, file string) error {
	extent := strings.TrimSuffix(file, ".vmdk") + "-flat.vmdk"
	there, err := s.anyThere(ctx, file, extent)
	if err != nil || !there {
		return err
	}
	err = s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualDiskManager(s.client).DeleteVirtualDisk(ctx, s.datastore.Path(file), s.datacenter)
	})
	if err == nil || isUnavailable(classify(err)) || ctx.Err() != nil {
		return err
	}
	return errors.Join(s.removeFile(ctx, extent), s.removeFile(ctx, file))
}

// anyThere reports whether one of these files is on the datastore.
func (s *session) anyThere(ctx context.Context, files ...string) (bool, error) {
	for _, file := range files {
		res, err := s.get(ctx, file, http.Header{"Range": {"bytes=0-0"}})
		if err != nil {
			return false, err
		}
		_ = res.Body.Close() // of one byte at most is asked for
		switch res.StatusCode {
		case http.StatusNotFound:
		case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
			return true, nil
		default:
			return false, fmt.Errorf("look for %s: %w", file, statusError(res))
		}
	}
	return false, nil
}
