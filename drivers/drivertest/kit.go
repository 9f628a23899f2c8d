package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// kit is what one case works with: a fresh driver, and short words for what
// cases do, each failing the test where the word is not kept.
type kit struct {
	*testing.T
	h      Harness
	d      drivers.Driver
	facts  Facts
	opened []drivers.Driver
}

func newKit(t *testing.T, h Harness) *kit {
	t.Helper()
	k := &kit{T: t, h: h, facts: h.Facts().orDefault()}
	k.Cleanup(k.closeAll) // registered first, so that it comes last
	k.d = k.open()
	return k
}

// open connects another driver, closed at the end of the case, after all else
// has been cleaned up.
func (k *kit) open() drivers.Driver {
	k.Helper()
	d := k.h.Open(k)
	k.opened = append(k.opened, d)
	return d
}

func (k *kit) closeAll() {
	for _, d := range k.opened {
		if err := d.Close(); err != nil {
			k.Errorf("close: %v", err)
		}
	}
}

// clean is a context for cleaning up, after the test's own has ended.
func (k *kit) clean() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(k.Context()), k.facts.Patience)
}

// newID draws an id.
func newID() fleet.InstanceID {
	var b [16]byte
	rand.Read(b[:])
	return fleet.NewUUIDv4(b)
}

// ability is the driver with what only some can do.
func ability[T any](k *kit) T {
	k.Helper()
	able, ok := k.d.(T)
	if !ok {
		k.Fatalf("%T is no %s", k.d, reflect.TypeFor[T]())
	}
	return able
}

// images is the driver's image store.
func (k *kit) images() drivers.ImageStore { return ability[drivers.ImageStore](k) }

// spec is a machine to build, of a fresh id; its image is imported, and the
// machine is deleted at the end of the case.
func (k *kit) spec(name string) drivers.Spec {
	k.Helper()
	im, content := k.h.Image()
	if err := k.images().ImportImage(k.Context(), im, bytes.NewReader(content)); err != nil {
		k.Fatalf("import image: %v", err)
	}
	id := newID()
	k.Cleanup(func() {
		ctx, cancel := k.clean()
		defer cancel()
		if err := k.d.Delete(ctx, id); err != nil {
			k.Errorf("clean up machine: %v", err)
		}
	})
	size := k.facts.Size
	return drivers.Spec{
		Mark: drivers.Mark{
			ID: id, Name: name, Project: "conformance", Flavor: "tiny", Image: im.ID, DiskGiB: size.DiskGiB,
			CreatedAt: time.Date(2024, 2, 29, 12, 34, 56, 789000000, time.UTC), Generation: 1,
		},
		Resources: size,
		Image:     im,
	}
}

// build makes a machine and returns its id.
func (k *kit) build(name string) fleet.InstanceID {
	k.Helper()
	spec := k.spec(name)
	k.must(k.d.Build(k.Context(), spec))
	return spec.Mark.ID
}

// define makes a foreign machine, removed at the end of the case if it is
// still there.
func (k *kit) define(name string) fleet.InstanceID {
	k.Helper()
	id := k.h.Define(k, name)
	k.Cleanup(func() { k.removeForeign(id) })
	return id
}

func (k *kit) removeForeign(id fleet.InstanceID) {
	k.Helper()
	ctx, cancel := k.clean()
	defer cancel()
	m, err := k.d.Inspect(ctx, id)
	if err != nil {
		return // gone already
	}
	if m.Power != fleet.PowerStopped {
		k.h.PowerOff(k, id)
	}
	k.h.Remove(k, id)
}

func (k *kit) act(id fleet.InstanceID, action fleet.InstanceAction) {
	k.Helper()
	k.must(k.d.Act(k.Context(), id, action, drivers.ActOptions{}))
}

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *kit) list() []drivers.Machine {
	k.Helper()
	list, err := k.d.List(k.Context())
	k.must(err)
	return list
}

// count is how many machines of this id are listed.
func (k *kit) count(id fleet.InstanceID) int {
	k.Helper()
	n := 0
	for _, m := range k.list() {
		if m.ID == id {
			n++
		}
	}
	return n
}

func (k *kit) wantPower(id fleet.InstanceID, want fleet.Power) {
	k.Helper()
	m, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	if m.Power != want {
		k.Errorf("power is %s, want %s", m.Power, want)
	}
}

// storage is what the hypervisor's storage holds, sorted.
func (k *kit) storage() []string {
	k.Helper()
	return slices.Sorted(slices.Values(k.h.Storage(k)))
}

// eventually waits until ok, as long as the harness has patience.
func (k *kit) eventually(what string, ok func() bool) {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), k.facts.Patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			k.Fatalf("not within %s: %s", k.facts.Patience, what)
		case <-tick.C:
		}
	}
}
