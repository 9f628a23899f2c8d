package drivertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// otherImage is another image that the hypervisor boots, imported, and removed
// when the machines of the case are gone: it is to be asked for before they are.
func (k *kit) otherImage() fleet.Image {
	k.Helper()
	im, content := otherThan(k.h.Image())
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
	k.Cleanup(func() {
		ctx, cancel := k.clean()
		defer cancel()
		if err := k.images().RemoveImage(ctx, im.ID); err != nil {
			k.Errorf("clean up image: %v", err)
		}
	})
	return im
}

// otherThan makes another image of one: of a kernel by a further word on its
// command line, which nothing heeds, of a disk by a byte behind it.
func otherThan(im fleet.Image, content []byte) (fleet.Image, []byte) {
	im.Name, im.Files = "other", slices.Clone(im.Files)
	if im.BootsKernel() {
		im.Cmdline += " other"
	} else {
		content = append(bytes.Clone(content), 0)
		sum := sha256.Sum256(content)
		im.Files[0].SHA256, im.Files[0].Bytes, im.Bytes = hex.EncodeToString(sum[:]), int64(len(content)), int64(len(content))
	}
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	return im, content
}

// furnished is a machine with all that a rebuild leaves alone.
func (k *kit) furnished(name string) drivers.Spec {
	k.Helper()
	spec := k.spec(name)
	spec.Resources.DiskGiB = max(spec.Resources.DiskGiB, 1)
	spec.Mark.DiskGiB = spec.Resources.DiskGiB
	spec.Guest = k.seeded()
	if k.has(drivers.FeatureDevices) {
		spec.Disks = []fleet.Disk{{SizeGiB: 2}}
		spec.Cards = fleet.Cards(spec.Mark.ID, nil)
	}
	k.must(k.d.Build(k.Context(), spec))
	return spec
}

// devicesOf lists a machine's devices, where the driver can.
func (k *kit) devicesOf(id fleet.InstanceID) []fleet.Device {
	k.Helper()
	if !k.has(drivers.FeatureDevices) {
		return nil
	}
	list, err := ability[drivers.DeviceKeeper](k).Devices(k.Context(), id)
	k.must(err)
	return list
}

// plan is the next rebuild of a machine, from this image.
func plan(mark drivers.Mark, im fleet.Image) drivers.Rebuild {
	mark.Image, mark.Rebuilt = im.ID, mark.Rebuilt+1
	return drivers.Rebuild{Image: im, Mark: mark}
}

func (k *kit) rebuild(r drivers.Rebuild) error {
	k.Helper()
	return ability[drivers.Rebuilder](k).Rebuild(k.Context(), r.Mark.ID, r)
}

func rebuildMakesAnew(k *kit) {
	other := k.otherImage()
	spec := k.furnished("again")
	id := spec.Mark.ID
	k.act(id, fleet.Start)
	k.act(id, fleet.Stop)
	before, devices, storage := k.inspected(id), k.devicesOf(id), k.storage()
	was := spec.Mark
	for i := range 3 { // each new disk takes the place of the one before
		r := plan(was, other)
		r.Guest = &fleet.Guest{Hostname: "anew-" + string(rune('a'+i))}
		k.must(k.rebuild(r))
		k.d = k.open()
		want := before
		want.Mark = &r.Mark
		if diff := cmp.Diff(want, k.inspected(id)); diff != "" {
			k.Fatalf("the machine after rebuild %d (-want +got):\n%s", i+1, diff)
		}
		if diff := cmp.Diff(devices, k.devicesOf(id)); diff != "" {
			k.Errorf("rebuild %d changed devices (-before +after):\n%s", i+1, diff)
		}
		if after := k.storage(); len(after) != len(storage) {
			k.Errorf("rebuild %d left something:\n%s", i+1, cmp.Diff(storage, after))
		}
		was = r.Mark
	}
	if k.has(drivers.FeatureCloudInit) {
		k.wantGuest(id, "anew-c", id.String()+"-3")
	}
	k.act(id, fleet.Start)
	k.wantPower(id, fleet.PowerRunning)
}

func (k *kit) inspected(id fleet.InstanceID) drivers.Machine {
	k.Helper()
	m, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	return m
}

// wantGuest holds what cloud-init would find to these words.
func (k *kit) wantGuest(id fleet.InstanceID, words ...string) {
	k.Helper()
	found := k.h.Guest(k, id)
	for _, word := range words {
		if !strings.Contains(found, word) {
			k.Errorf("cloud-init would not find %q in:\n%s", word, found)
		}
	}
}

func rebuildKeepsTheGuest(k *kit) {
	if !k.has(drivers.FeatureCloudInit) {
		k.Skip("the driver does not declare the feature " + drivers.FeatureCloudInit)
	}
	spec := k.spec("Kept")
	spec.Resources.DiskGiB = max(spec.Resources.DiskGiB, 1)
	spec.Mark.DiskGiB = spec.Resources.DiskGiB
	spec.Guest = fleet.Guest{UserData: "#cloud-config\nruncmd: [echo \"ünd\"]\n", SSHKeys: []string{"ssh-ed25519 AAAA someone"}}
	k.must(k.d.Build(k.Context(), spec))
	r := plan(spec.Mark, spec.Image)
	k.must(k.rebuild(r))
	k.wantGuest(r.Mark.ID, spec.Guest.UserData, spec.Guest.SSHKeys[0], "kept", r.Mark.ID.String()+"-1")
}

func rebuildIsDoneOnce(k *kit) {
	other := k.otherImage()
	spec := k.furnished("once")
	r := plan(spec.Mark, other)
	k.must(k.rebuild(r))
	k.act(r.Mark.ID, fleet.Start)
	storage := k.storage()
	k.must(k.rebuild(r)) // as after a crash that came when all was done
	k.wantPower(r.Mark.ID, fleet.PowerRunning)
	if diff := cmp.Diff(storage, k.storage()); diff != "" {
		k.Errorf("a rebuild that was done already changed the storage:\n%s", diff)
	}
}

// cancelledRebuild cuts rebuilds short after ever longer times, so that it meets
// the steps in between: there is one whole machine after each.
func cancelledRebuild(k *kit) {
	other := k.otherImage()
	spec := k.furnished("cut short")
	images := []fleet.Image{other, spec.Image}
	r := plan(spec.Mark, other)
	k.act(spec.Mark.ID, fleet.Start) // some hypervisors make its console's log then
	k.act(spec.Mark.ID, fleet.Stop)
	storage := k.storage()
	began := time.Now()
	k.must(k.rebuild(r))
	whole := time.Since(began)

	const tries = 4
	for i := range tries {
		was := r.Mark
		r = plan(was, images[(i+1)%2])
		ctx, cancel := context.WithTimeout(k.Context(), whole*time.Duration(i)/tries)
		err := ability[drivers.Rebuilder](k).Rebuild(ctx, was.ID, r)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			k.Fatalf("try %d: got %v, want the context's error", i, err)
		}
		got := k.inspected(was.ID)
		if rebuilt := r.Done(got.Mark); err == nil && !rebuilt || !rebuilt && !cmp.Equal(&was, got.Mark) {
			k.Errorf("try %d: after a rebuild that returned %v its mark is %+v", i, err, got.Mark)
		}
		k.act(was.ID, fleet.Start) // what takes its disk for gone does not start
		k.act(was.ID, fleet.Stop)
		k.must(k.rebuild(r))
		if after := k.storage(); len(after) != len(storage) {
			k.Errorf("try %d: something was left:\n%s", i, cmp.Diff(storage, after))
		}
	}
}

func rebuildRefusals(k *kit) {
	other := k.otherImage()
	spec := k.furnished("as it is")
	id, r := spec.Mark.ID, plan(spec.Mark, other)
	k.act(id, fleet.Start) // some hypervisors make its console's log then
	k.act(id, fleet.Stop)
	before, storage := k.inspected(id), k.storage()
	missing := r
	missing.Image.ID = strings.Repeat("0", 64)
	missing.Mark.Image = missing.Image.ID
	if err := k.rebuild(missing); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("from an image that is not there: got %v, want ErrNotFound", err)
	}
	if k.has(drivers.FeatureSnapshot) {
		k.take(id, "one")
		if err := k.rebuild(r); !errors.Is(err, drivers.ErrHasSnapshots) {
			k.Errorf("with a snapshot: got %v, want ErrHasSnapshots", err)
		}
		k.must(k.snapshotter().DeleteSnapshot(k.Context(), id, "one"))
	}
	k.act(id, fleet.Start)
	if err := k.rebuild(r); err == nil {
		k.Error("a running machine was rebuilt, want an error")
	}
	k.wantPower(id, fleet.PowerRunning)
	k.act(id, fleet.Stop)
	foreign := k.define("by-hand")
	byHand := r
	byHand.Mark.ID = foreign
	if err := k.rebuild(byHand); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("a foreign machine: got %v, want ErrForeign", err)
	}
	k.must(k.d.Adopt(k.Context(), foreign, drivers.Mark{ID: foreign, Name: "adopted", Generation: 1}))
	if err := k.rebuild(byHand); !errors.Is(err, drivers.ErrUnsupported) {
		k.Errorf("an adopted machine: got %v, want ErrUnsupported", err)
	}
	k.must(k.d.Disown(k.Context(), foreign))
	nobody := r
	nobody.Mark.ID = newID()
	if err := k.rebuild(nobody); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("no machine: got %v, want ErrNotFound", err)
	}
	if diff := cmp.Diff(before, k.inspected(id)); diff != "" {
		k.Errorf("what was refused changed the machine:\n%s", diff)
	}
	if after := k.storage(); !cmp.Equal(storage, after) {
		k.Errorf("what was refused left something:\n%s", cmp.Diff(storage, after))
	}
}

// rebuildWithoutRoom leaves the machine with the disk that it has.
func rebuildWithoutRoom(k *kit) {
	f, ok := k.h.(Filler)
	if !ok {
		k.Skip("the harness cannot make the storage full")
	}
	other := k.otherImage()
	spec := k.furnished("no room")
	r := plan(spec.Mark, other)
	before, storage := k.inspected(spec.Mark.ID), k.storage()
	f.Fill(k, true)
	defer f.Fill(k, false)
	if err := k.rebuild(r); !errors.Is(err, drivers.ErrOutOfSpace) {
		k.Errorf("got %v, want ErrOutOfSpace", err)
	}
	f.Fill(k, false)
	if diff := cmp.Diff(before, k.inspected(spec.Mark.ID)); diff != "" {
		k.Errorf("the rebuild that failed changed the machine:\n%s", diff)
	}
	if after := k.storage(); !cmp.Equal(storage, after) {
		k.Errorf("the rebuild that failed left something:\n%s", cmp.Diff(storage, after))
	}
	k.act(spec.Mark.ID, fleet.Start)
	k.act(spec.Mark.ID, fleet.Stop)
	k.must(k.rebuild(r))
}

func deleteRemovesRebuilt(k *kit) {
	other := k.otherImage()
	spare := k.furnished("spare") // so that the image is there before and after
	before := k.storage()
	spec := k.furnished("doomed")
	k.must(k.rebuild(plan(spec.Mark, other)))
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("storage after the delete (-before +after):\n%s", diff)
	}
	k.wantPower(spare.Mark.ID, fleet.PowerStopped)
}
