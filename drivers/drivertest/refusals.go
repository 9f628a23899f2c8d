package drivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Cases about what cannot be done, and leaves things as they are.

func maintenance(k *kit) {
	m, ok := k.h.(Maintainer)
	if !ok {
		k.Skip("the hypervisor has no maintenance mode")
	}
	id, spec := k.build("stays down"), k.spec("not now")
	storage := k.storage()
	m.Maintain(k, true)
	defer m.Maintain(k, false)
	if desc, err := k.d.Describe(k.Context()); err != nil || !desc.Maintenance {
		k.Errorf("described as in maintenance: %v, %v", desc.Maintenance, err)
	}
	if err := k.d.Build(k.Context(), spec); !errors.Is(err, drivers.ErrMaintenance) {
		k.Errorf("build: got %v, want ErrMaintenance", err)
	}
	if err := k.d.Act(k.Context(), id, fleet.Start, drivers.ActOptions{}); !errors.Is(err, drivers.ErrMaintenance) {
		k.Errorf("start: got %v, want ErrMaintenance", err)
	}
	k.wantPower(id, fleet.PowerStopped)
	if diff := cmp.Diff(storage, k.storage()); diff != "" {
		k.Errorf("the refused build left something:\n%s", diff)
	}
	m.Maintain(k, false)
	if desc, err := k.d.Describe(k.Context()); err != nil || desc.Maintenance {
		k.Errorf("described as in maintenance after its end: %v, %v", desc.Maintenance, err)
	}
	k.must(k.d.Build(k.Context(), spec))
	k.act(id, fleet.Start)
}

func fullStorage(k *kit) {
	f, ok := k.h.(Filler)
	if !ok {
		k.Skip("the harness cannot make the storage full")
	}
	spec := k.spec("no room")
	spec.Resources.DiskGiB = max(spec.Resources.DiskGiB, 1) // a machine without a disk may take none
	spec.Mark.DiskGiB = spec.Resources.DiskGiB
	im, content := k.h.Image()
	k.must(k.images().RemoveImage(k.Context(), im.ID))
	before := k.storage()
	f.Fill(k, true)
	defer f.Fill(k, false)
	if err := k.images().ImportImage(k.Context(), im, bytes.NewReader(content)); !errors.Is(err, drivers.ErrOutOfSpace) {
		k.Errorf("import: got %v, want ErrOutOfSpace", err)
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("the import left something:\n%s", diff)
	}
	f.Fill(k, false)
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
	before = k.storage()
	f.Fill(k, true)
	if err := k.d.Build(k.Context(), spec); !errors.Is(err, drivers.ErrOutOfSpace) {
		k.Errorf("build: got %v, want ErrOutOfSpace", err)
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" || k.count(spec.Mark.ID) != 0 {
		k.Errorf("the build left something:\n%s", diff)
	}
	f.Fill(k, false)
	k.must(k.d.Build(k.Context(), spec))
}

func cancelledImport(k *kit) {
	im, content := k.h.Image()
	k.must(k.images().RemoveImage(k.Context(), im.ID))
	before := k.storage()
	ctx, cancel := context.WithCancel(k.Context())
	defer cancel()
	half := len(content) / 2
	err := k.images().ImportImage(ctx, im, io.MultiReader(
		bytes.NewReader(content[:half]),
		iotest.OneByteReader(&cancelling{cancel, bytes.NewReader(content[half:])}),
	))
	if !errors.Is(err, context.Canceled) {
		k.Errorf("got %v, want context.Canceled", err)
	}
	if k.holds(im.ID) {
		k.Error("the image is listed")
	}
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("something was left:\n%s", diff)
	}
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
}

// cancelling is a reader whose first byte is followed by a cancellation.
type cancelling struct {
	cancel context.CancelFunc
	io.Reader
}

func (c *cancelling) Read(p []byte) (int, error) {
	defer c.cancel()
	return c.Reader.Read(p)
}

func rebootNeedsARunningMachine(k *kit) {
	id := k.build("down")
	if err := k.d.Act(k.Context(), id, fleet.Reboot, drivers.ActOptions{}); err == nil {
		k.Error("a stopped machine was rebooted, want an error")
	}
	k.wantPower(id, fleet.PowerStopped)
}

func adoptNeedsTheMachinesOwnMark(k *kit) {
	foreign, built := k.define("not that one"), k.build("neither")
	was := k.list()
	for _, id := range []fleet.InstanceID{foreign, built} {
		if err := k.d.Adopt(k.Context(), id, drivers.Mark{ID: newID(), Name: "another"}); err == nil {
			k.Errorf("machine %s was given the mark of another, want an error", id)
		}
	}
	if diff := cmp.Diff(was, k.list(), guestsOwnDoing); diff != "" {
		k.Errorf("the refused adoption changed something:\n%s", diff)
	}
}

// pausedMachine is switched and deleted like any other.
func pausedMachine(k *kit) {
	id := k.build("paused")
	for _, from := range []fleet.InstanceAction{fleet.Resume, fleet.Pause} {
		if err := k.d.Act(k.Context(), id, from, drivers.ActOptions{}); err == nil {
			k.Errorf("%s of a stopped machine: got no error", from)
		}
		k.wantPower(id, fleet.PowerStopped)
	}
	k.act(id, fleet.Start)
	k.act(id, fleet.Pause)
	k.wantListed(id)
	k.must(k.d.Delete(k.Context(), id))
	if n := k.count(id); n != 0 {
		k.Errorf("%d machines after the delete of a paused one", n)
	}
}

// wantListed holds the list to what Inspect says of a machine.
func (k *kit) wantListed(id fleet.InstanceID) {
	k.Helper()
	one, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	for _, m := range k.list() {
		if m.ID != id {
			continue
		}
		if diff := cmp.Diff(one, m, guestsOwnDoing); diff != "" {
			k.Errorf("List and Inspect differ (-inspect +list):\n%s", diff)
		}
		return
	}
	k.Errorf("machine %s is not listed", id)
}
