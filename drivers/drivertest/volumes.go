package drivertest

import (
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

// volumesAreTold: what was made for a machine is told with it for as long as it
// is there; of a machine that somebody else made nothing is.
func volumesAreTold(k *kit) {
	lister, ok := k.d.(drivers.VolumeLister)
	if !ok {
		k.Skip("the driver does not tell what its storage was made for")
	}
	foreign := k.define("foreign")
	spec := k.spec("told")
	spec.Resources.DiskGiB = 1
	machines := func() (ids []fleet.InstanceID) {
		volumes, err := lister.Volumes(k.Context())
		k.must(err)
		for _, v := range volumes {
			if v.Name == "" {
				k.Errorf("a volume of %s has no name", v.Machine)
			}
			ids = append(ids, v.Machine)
		}
		return ids
	}
	if slices.Contains(machines(), spec.Mark.ID) {
		k.Error("a volume of the machine is there before the machine")
	}
	k.must(k.d.Build(k.Context(), spec))
	got := machines()
	if !slices.Contains(got, spec.Mark.ID) || slices.Contains(got, foreign) {
		k.Errorf("there are volumes of %v, want of %s and not of the foreign machine %s", got, spec.Mark.ID, foreign)
	}
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if slices.Contains(machines(), spec.Mark.ID) {
		k.Error("a volume of a machine that was deleted is there")
	}
}
