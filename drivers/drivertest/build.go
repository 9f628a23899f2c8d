package drivertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func builtHasItsSize(k *kit) {
	spec := k.spec("sized")
	k.must(k.d.Build(k.Context(), spec))
	m, err := k.d.Inspect(k.Context(), spec.Mark.ID)
	k.must(err)
	want := drivers.Machine{ID: spec.Mark.ID, Name: m.Name, Power: fleet.PowerStopped, Resources: spec.Resources, Mark: &spec.Mark}
	want.Resources.DiskGiB = spec.DiskGiB()
	if diff := cmp.Diff(want, m); diff != "" {
		k.Errorf("the machine is not what was asked for (-want +got):\n%s", diff)
	}
}

func buildIsIdempotent(k *kit) {
	spec := k.spec("twice")
	k.must(k.d.Build(k.Context(), spec))
	k.act(spec.Mark.ID, fleet.Start)
	storage := k.storage()
	if err := k.open().Build(k.Context(), spec); err != nil {
		k.Errorf("build again, through another driver: %v", err)
	}
	if n := k.count(spec.Mark.ID); n != 1 {
		k.Errorf("%d machines", n)
	}
	k.wantPower(spec.Mark.ID, fleet.PowerRunning)
	if diff := cmp.Diff(storage, k.storage()); diff != "" {
		k.Errorf("the second build changed the storage:\n%s", diff)
	}
}

func buildAtOnce(k *kit) {
	spec := k.spec("at once")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := k.d.Build(k.Context(), spec); err != nil {
				k.Errorf("build: %v", err)
			}
		})
	}
	wg.Wait()
	if n := k.count(spec.Mark.ID); n != 1 {
		k.Errorf("%d machines", n)
	}
}

func failedBuildLeavesNothing(k *kit) {
	spec := k.spec("no image")
	before := k.storage()
	known := spec.Image
	spec.Image.Files = nil
	for _, f := range known.Files {
		sum := sha256.Sum256([]byte("never imported " + f.Role))
		f.SHA256 = hex.EncodeToString(sum[:])
		spec.Image.Files = append(spec.Image.Files, f)
	}
	spec.Image.ID = fleet.ImageID(spec.Image.Files, spec.Image.Cmdline)
	if err := k.d.Build(k.Context(), spec); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("build from an image that is not there: got %v, want ErrNotFound", err)
	}
	if n := k.count(spec.Mark.ID); n != 0 {
		k.Errorf("%d machines after a failed build", n)
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("the failed build left something:\n%s", diff)
	}
	spec.Image = known
	k.must(k.d.Build(k.Context(), spec))
	if n := k.count(spec.Mark.ID); n != 1 {
		k.Errorf("%d machines after the retry", n)
	}
}

// cancelledBuild cuts builds short after ever longer times, so that it meets
// the steps in between.
func cancelledBuild(k *kit) {
	spec := k.spec("cancelled")
	id := spec.Mark.ID
	empty := k.storage()
	began := time.Now()
	k.must(k.d.Build(k.Context(), spec))
	whole := time.Since(began)
	k.must(k.d.Delete(k.Context(), id))

	const tries = 8
	for i := range tries {
		ctx, cancel := context.WithTimeout(k.Context(), whole*time.Duration(i)/tries)
		err := k.d.Build(ctx, spec)
		cancel()
		want := 0
		if err == nil {
			want = 1
		} else if !errors.Is(err, context.DeadlineExceeded) {
			k.Fatalf("cancelled build: got %v, want the context's error", err)
		}
		if n := k.count(id); n != want {
			k.Errorf("try %d: %d machines after a build that returned %v", i, n, err)
		}
		if diff := cmp.Diff(empty, k.storage()); want == 0 && diff != "" {
			k.Errorf("try %d: the cancelled build left something:\n%s", i, diff)
		}
		k.must(k.d.Build(k.Context(), spec))
		if n := k.count(id); n != 1 {
			k.Errorf("try %d: %d machines after the retry", i, n)
		}
		k.must(k.d.Delete(k.Context(), id))
	}
}

func deleteRemovesAll(k *kit) {
	spec := k.spec("doomed")
	before := k.storage()
	for _, running := range []bool{false, true} {
		k.must(k.d.Build(k.Context(), spec))
		if running {
			k.act(spec.Mark.ID, fleet.Start)
		}
		for range 2 { // the second time there is nothing to delete, which is no error
			k.must(k.d.Delete(k.Context(), spec.Mark.ID))
		}
		if n := k.count(spec.Mark.ID); n != 0 {
			k.Errorf("%d machines after delete", n)
		}
		if diff := cmp.Diff(before, k.storage()); diff != "" {
			k.Errorf("delete left something (running %v):\n%s", running, diff)
		}
	}
}
