package drivertest

import (
	"errors"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// readopted is how a case that disowns a machine of Build's lets it be deleted
// at its end.
func (k *kit) readopted(mark drivers.Mark) {
	k.Cleanup(func() {
		ctx, cancel := k.clean()
		defer cancel()
		if err := k.d.Adopt(ctx, mark.ID, mark); err != nil {
			k.Errorf("adopt again: %v", err)
		}
	})
}

func disownedGoesOn(k *kit) {
	for _, power := range []fleet.Power{fleet.PowerStopped, fleet.PowerRunning} {
		spec := k.spec("given away " + string(power))
		mark, id := spec.Mark, spec.Mark.ID
		k.must(k.d.Build(k.Context(), spec))
		k.readopted(mark)
		if power == fleet.PowerRunning {
			k.act(id, fleet.Start)
		}
		k.must(k.d.Disown(k.Context(), id))
		k.wantDisowned(id, power)
		if err := k.d.Build(k.Context(), spec); !errors.Is(err, drivers.ErrForeign) {
			k.Errorf("build again: got %v, want ErrForeign", err)
		}
		if err := k.d.Delete(k.Context(), id); !errors.Is(err, drivers.ErrForeign) {
			k.Errorf("delete: got %v, want ErrForeign", err)
		}
		k.must(k.d.Disown(k.Context(), id)) // a repeated disown is no error
		k.must(k.d.Adopt(k.Context(), id, mark))
		k.must(k.d.Disown(k.Context(), id))
		k.wantDisowned(id, power)
		k.must(k.d.Adopt(k.Context(), id, mark))
		m, err := k.open().Inspect(k.Context(), id)
		k.must(err)
		if diff := cmp.Diff(&mark, m.Mark); diff != "" {
			k.Errorf("mark of a machine that was adopted again (-want +got):\n%s", diff)
		}
		k.act(id, fleet.Stop)
		k.act(id, fleet.Start)
	}
}

// wantDisowned holds a machine to being foreign, as a new connection sees it,
// and otherwise what it was.
func (k *kit) wantDisowned(id fleet.InstanceID, power fleet.Power) {
	k.Helper()
	m, err := k.open().Inspect(k.Context(), id)
	k.must(err)
	if m.Mark != nil || m.Power != power || m.Resources.MemoryMiB < k.facts.Size.MemoryMiB || k.count(id) != 1 {
		k.Errorf("got %+v; want it there once, %s, with its size and without a Mark", m, power)
	}
}

// disownedKeepsItsImage: the image of a machine without a Mark either stays, or
// was not needed.
func disownedKeepsItsImage(k *kit) {
	spec := k.spec("built on an image")
	id := spec.Mark.ID
	k.must(k.d.Build(k.Context(), spec))
	k.readopted(spec.Mark)
	k.must(k.d.Disown(k.Context(), id))
	err := k.images().RemoveImage(k.Context(), spec.Image.ID)
	if err != nil && fleet.CodeOf(err) != fleet.CodeConflict {
		k.Errorf("remove the image: got %v, want it done or a conflict", err)
	}
	if err != nil && !k.holds(spec.Image.ID) {
		k.Error("the image was to stay and is gone")
	}
	k.h.PowerOn(k, id)
	k.wantPower(id, fleet.PowerRunning)
	k.h.PowerOff(k, id)
}
