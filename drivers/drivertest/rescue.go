package drivertest

import (
	"errors"
	"strings"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// rescued is the mark of a machine that is rescued by this image.
func rescued(mark drivers.Mark, im fleet.Image) drivers.Mark {
	mark.Rescue = drivers.Rescued{Image: im.ID, Power: fleet.PowerStopped}
	return mark
}

func (k *kit) rescuer() drivers.Rescuer { return ability[drivers.Rescuer](k) }

func rescueAndBack(k *kit) {
	other := k.otherImage()
	spec := k.furnished("mended")
	rescuedAndBack(k, spec, other)
	k.act(spec.Mark.ID, fleet.Stop)
	rescuedAndBack(k, spec, other)
}

// rescueByACD is of a machine without a CD, and of one with the very same.
func rescueByACD(k *kit) {
	if !k.has(drivers.FeatureRescue) {
		k.Skip("the driver does not declare the feature " + drivers.FeatureRescue)
	}
	im := k.iso()
	spec := k.furnished("mended by a CD")
	rescuedAndBack(k, spec, im)
	k.act(spec.Mark.ID, fleet.Stop)
	cd := drivers.Attachment{Kind: fleet.DeviceISO, Image: im.ID}
	cd.Name = drivers.FreeDeviceName(k.allDevices(spec.Mark.ID), &fleet.AttachRequest{Kind: fleet.DeviceISO})
	k.must(k.keeper().AttachDevice(k.Context(), spec.Mark.ID, cd))
	rescuedAndBack(k, spec, im)
}

// rescuedAndBack holds the machine in between to what it was before and after.
func rescuedAndBack(k *kit, spec drivers.Spec, other fleet.Image) {
	k.Helper()
	id := spec.Mark.ID
	k.act(id, fleet.Start)
	k.act(id, fleet.Stop)
	before, devices, storage := k.inspected(id), k.devicesOf(id), k.storage()
	mark := rescued(spec.Mark, other)
	for range 2 { // one that was cut short is done again
		k.must(k.rescuer().Rescue(k.Context(), id, other, mark))
	}
	k.act(id, fleet.Start)
	k.must(k.rescuer().Rescue(k.Context(), id, other, mark)) // as after a crash that came when all was done
	k.wantPower(id, fleet.PowerRunning)
	k.d = k.open()
	during := k.inspected(id)
	if diff := cmp.Diff(&mark, during.Mark); diff != "" {
		k.Errorf("its mark while it is rescued (-want +got):\n%s", diff)
	}
	if during.Resources != before.Resources {
		k.Errorf("rescued, its size is %+v, want %+v", during.Resources, before.Resources)
	}
	if err := k.rescuer().Unrescue(k.Context(), id, spec.Mark); err == nil {
		k.Error("a running machine was unrescued, want an error")
	}
	k.act(id, fleet.Stop)
	for range 2 {
		k.must(k.rescuer().Unrescue(k.Context(), id, spec.Mark))
	}
	if diff := cmp.Diff(before, k.inspected(id)); diff != "" {
		k.Errorf("after its rescue (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(devices, k.devicesOf(id)); diff != "" {
		k.Errorf("its devices after its rescue (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(storage, k.storage()); diff != "" {
		k.Errorf("the rescue left something:\n%s", diff)
	}
	k.act(id, fleet.Start)
	k.wantPower(id, fleet.PowerRunning)
}

func rescueRefusals(k *kit) {
	other := k.otherImage()
	spec := k.furnished("well")
	id := spec.Mark.ID
	missing := other
	missing.ID = strings.Repeat("0", 64)
	if err := k.rescuer().Rescue(k.Context(), id, missing, rescued(spec.Mark, missing)); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("by an image that is not there: got %v, want ErrNotFound", err)
	}
	k.act(id, fleet.Start)
	if err := k.rescuer().Rescue(k.Context(), id, other, rescued(spec.Mark, other)); err == nil {
		k.Error("a running machine was rescued, want an error")
	}
	k.act(id, fleet.Stop)
	foreign := k.define("by-hand")
	if err := k.rescuer().Rescue(k.Context(), foreign, other, rescued(drivers.Mark{ID: foreign}, other)); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("a foreign machine: got %v, want ErrForeign", err)
	}
	nobody := newID()
	if err := k.rescuer().Rescue(k.Context(), nobody, other, rescued(drivers.Mark{ID: nobody}, other)); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("no machine: got %v, want ErrNotFound", err)
	}
	k.must(k.rescuer().Rescue(k.Context(), id, other, rescued(spec.Mark, other)))
	if err := k.rescuer().Rescue(k.Context(), id, spec.Image, rescued(spec.Mark, spec.Image)); !errors.Is(err, drivers.ErrRescued) {
		k.Errorf("by two images at once: got %v, want ErrRescued", err)
	}
	if err := k.images().RemoveImage(k.Context(), other.ID); fleet.CodeOf(err) != fleet.CodeConflict && k.holds(other.ID) {
		k.Errorf("the image that it boots was to be removed: got %v", err)
	}
	k.must(k.rescuer().Unrescue(k.Context(), id, spec.Mark))
}

func deleteRemovesRescued(k *kit) {
	other := k.otherImage()
	spare := k.furnished("spare") // so that the image is there before and after
	before := k.storage()
	spec := k.furnished("doomed")
	k.must(k.rescuer().Rescue(k.Context(), spec.Mark.ID, other, rescued(spec.Mark, other)))
	k.act(spec.Mark.ID, fleet.Start)
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("storage after the delete (-before +after):\n%s", diff)
	}
	k.wantPower(spare.Mark.ID, fleet.PowerStopped)
}
