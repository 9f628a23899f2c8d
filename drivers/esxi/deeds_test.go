package esxi_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/drivers/esxi"
	"grapevine/fleet"
)

// deed is something that changes a host, always the same machine on an empty
// host, so that what is there before and after it can be compared.
type deed struct {
	name  string
	ready func(l *lab) // makes what the deed needs
	do    func(ctx context.Context, l *lab) error
	// tasks are the methods of the API that begin the deed's tasks, in order.
	tasks []string
	// forward: what it has done by the time it fails stays done; doing it again
	// ends it.
	forward bool
	// grows: it needs room on the datastore.
	grows bool
}

func deeds() []deed {
	machine := func(l *lab) { l.must(l.d.Build(l.t.Context(), l.spec)) }
	running := func(l *lab) { machine(l); l.act(fleet.Start) }
	past := func(l *lab) { machine(l); l.must(l.d.TakeSnapshot(l.t.Context(), l.spec.Mark.ID, "past")) }
	return []deed{
		{
			name: "build", ready: func(*lab) {}, grows: true,
			do:    func(ctx context.Context, l *lab) error { return l.d.Build(ctx, l.spec) },
			tasks: []string{"CopyVirtualDisk_Task", "ExtendVirtualDisk_Task", "CreateVM_Task"},
		},
		{
			name: "start", ready: machine, tasks: []string{"PowerOnVM_Task"},
			do: func(ctx context.Context, l *lab) error {
				return l.d.Act(ctx, l.spec.Mark.ID, fleet.Start, drivers.ActOptions{})
			},
		},
		{
			name: "stop", ready: running, tasks: []string{"PowerOffVM_Task"},
			do: func(ctx context.Context, l *lab) error {
				return l.d.Act(ctx, l.spec.Mark.ID, fleet.Stop, drivers.ActOptions{})
			},
		},
		{
			name: "adopt", ready: machine, tasks: []string{"ReconfigVM_Task"},
			do: func(ctx context.Context, l *lab) error {
				mark := l.spec.Mark
				mark.Name, mark.Generation = "another", 9
				return l.d.Adopt(ctx, mark.ID, mark)
			},
		},
		{
			name: "resize", ready: machine, tasks: []string{"ReconfigVM_Task"}, grows: true,
			do: func(ctx context.Context, l *lab) error {
				mark := l.spec.Mark
				mark.DiskGiB = 5
				return l.d.Resize(ctx, mark.ID, fleet.Resources{VCPUs: 2, MemoryMiB: 128, DiskGiB: 5}, mark)
			},
		},
		{
			name: "rebuild", ready: machine, grows: true,
			tasks: []string{"CopyVirtualDisk_Task", "ExtendVirtualDisk_Task", "ReconfigVM_Task"},
			do: func(ctx context.Context, l *lab) error {
				mark := l.spec.Mark
				mark.Rebuilt++
				return l.d.Rebuild(ctx, mark.ID, drivers.Rebuild{Image: l.spec.Image, Mark: mark})
			},
		},
		{
			name: "rescue", ready: machine, grows: true, tasks: []string{"CopyVirtualDisk_Task", "ReconfigVM_Task"},
			do: func(ctx context.Context, l *lab) error {
				return l.d.Rescue(ctx, l.spec.Mark.ID, l.rescuer, l.rescued())
			},
		},
		{
			name: "unrescue", tasks: []string{"ReconfigVM_Task"},
			ready: func(l *lab) {
				machine(l)
				l.must(l.d.Rescue(l.t.Context(), l.spec.Mark.ID, l.rescuer, l.rescued()))
			},
			do: func(ctx context.Context, l *lab) error { return l.d.Unrescue(ctx, l.spec.Mark.ID, l.spec.Mark) },
		},
		{
			name: "snapshot", ready: running, tasks: []string{"CreateSnapshot_Task"}, grows: true,
			do: func(ctx context.Context, l *lab) error { return l.d.TakeSnapshot(ctx, l.spec.Mark.ID, "now") },
		},
		{
			name: "revert", ready: func(l *lab) { past(l); l.act(fleet.Start) }, forward: true,
			tasks: []string{"RevertToSnapshot_Task", "ReconfigVM_Task", "PowerOffVM_Task"},
			do: func(ctx context.Context, l *lab) error {
				return l.d.RevertSnapshot(ctx, l.spec.Mark.ID, "past", l.spec.Mark)
			},
		},
		{
			name: "forget snapshot", ready: past, tasks: []string{"RemoveSnapshot_Task"},
			do: func(ctx context.Context, l *lab) error { return l.d.DeleteSnapshot(ctx, l.spec.Mark.ID, "past") },
		},
		{
			name: "delete", ready: running, forward: true, tasks: []string{"PowerOffVM_Task", "Destroy_Task"},
			do: func(ctx context.Context, l *lab) error { return l.d.Delete(ctx, l.spec.Mark.ID) },
		},
		{
			name: "import", ready: func(l *lab) { l.must(l.d.RemoveImage(l.t.Context(), l.spec.Image.ID)) }, grows: true,
			tasks: []string{"CopyVirtualDisk_Task", "DeleteDatastoreFile_Task"},
			do: func(ctx context.Context, l *lab) error {
				return l.d.ImportImage(ctx, l.spec.Image, bytes.NewReader(l.content))
			},
		},
	}
}

// lab is an empty host with one image, and the machine to work on.
type lab struct {
	t       *testing.T
	h       harness
	d       *esxi.Driver
	eye     *esxi.Driver // looks only
	spec    drivers.Spec
	content []byte
	rescuer fleet.Image // another image
}

// rescued is the mark of the machine while it is rescued.
func (l *lab) rescued() drivers.Mark {
	mark := l.spec.Mark
	mark.Rescue = drivers.Rescued{Image: l.rescuer.ID, Power: fleet.PowerStopped}
	return mark
}

func newLab(t *testing.T) *lab {
	t.Helper()
	h := newHarness(t)
	l := &lab{t: t, h: h, d: open(t, h.config()), eye: open(t, h.config())}
	im, content := h.Image()
	l.content = content
	var other []byte
	l.rescuer, other = rescuerImage()
	l.must(l.d.ImportImage(t.Context(), l.rescuer, bytes.NewReader(other)))
	l.spec = drivers.Spec{
		Mark: drivers.Mark{
			ID: fleet.NewUUIDv5(fleet.UUID{}, "the machine"), Name: "web", Project: "p", Image: im.ID, DiskGiB: 3, Generation: 1,
			CreatedAt: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		},
		Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64, DiskGiB: 3}, Image: im,
	}
	return l
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) act(action fleet.InstanceAction) {
	l.t.Helper()
	l.must(l.d.Act(l.t.Context(), l.spec.Mark.ID, action, drivers.ActOptions{}))
}

// begin makes the host as it is before the deed, whatever it was.
func (l *lab) begin(d deed) {
	l.t.Helper()
	l.h.host.NoMoreFaults()
	l.must(l.d.Delete(l.t.Context(), l.spec.Mark.ID))
	l.must(l.d.ImportImage(l.t.Context(), l.spec.Image, bytes.NewReader(l.content)))
	d.ready(l)
}

// picture is all that a driver shows of the lab, and its storage.
type picture struct {
	Machines  []drivers.Machine
	Snapshots []fleet.Snapshot
	Images    []fleet.Image
	Storage   []string
}

// look takes a picture, through another driver.
func (l *lab) look() picture {
	l.t.Helper()
	l.h.host.NoMoreFaults()
	var p picture
	var err error
	p.Machines, err = l.eye.List(l.t.Context())
	l.must(err)
	p.Images, err = l.eye.Images(l.t.Context())
	l.must(err)
	p.Snapshots, err = l.eye.Snapshots(l.t.Context(), l.spec.Mark.ID)
	if err != nil && !errors.Is(err, drivers.ErrNotFound) {
		l.t.Fatal(err)
	}
	for i := range p.Snapshots {
		p.Snapshots[i].CreatedAt = time.Time{}
	}
	p.Storage = l.h.Storage(l.t)
	slices.Sort(p.Storage)
	return p
}

// want compares what is there with a picture.
func (l *lab) want(what string, want picture) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.look()); diff != "" {
		l.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// once does the deed on a host without faults: how many requests it makes, and
// what is there before and after.
func (l *lab) once(d deed) (requests int, before, after picture) {
	l.t.Helper()
	l.begin(d)
	before = l.look()
	l.h.host.CountRequests()
	l.must(d.do(l.t.Context(), l))
	requests = l.h.host.Requests()
	return requests, before, l.look()
}

// eachDeed runs the test on every deed that it is about, each on a host of its
// own.
func eachDeed(t *testing.T, about func(deed) bool, test func(l *lab, d deed)) {
	t.Helper()
	for _, d := range deeds() {
		if !about(d) {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(newLab(t), d)
		})
	}
}

func all(deed) bool { return true }
