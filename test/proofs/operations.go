package proofs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// otherImage is another image than tiny, for what exchanges them.
func otherImage() (fleet.Image, []byte) {
	content := []byte("another disk")
	sum := sha256.Sum256(content)
	file := fleet.ImageFile{
		Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "raw", VirtualBytes: int64(len(content)),
	}
	return fleet.Image{ID: file.SHA256, Name: "other", Files: []fleet.ImageFile{file}, Bytes: file.Bytes}, content
}

func (h *Host) give(im fleet.Image, content []byte) {
	h.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := h.Client.ImportImage(ctx, h.ID, im, bytes.NewReader(content)); err != nil {
		h.w.t.Fatalf("give %s the image %s: %v", h.Name, im.Name, err)
	}
}

// must fails the proof where what only prepares it does not work.
func (c *cutting) must(a fleet.Accepted, err error) {
	c.t.Helper()
	if err != nil || a.Instance.Task != fleet.TaskNone || a.Instance.Fault != "" {
		c.t.Fatalf("prepare %s: %+v, %v", c.op.name, a, err)
	}
}

// create asks for the n-th machine of the round, on the host.
func (c *cutting) create(ctx context.Context, n int, source string, wait time.Duration) (fleet.Accepted, error) {
	ask := fleet.Create{Name: c.key(n), Flavor: "nano", Image: "tiny", Host: c.host.Name, Source: source}
	if source != "" {
		ask.Flavor, ask.Image = "", ""
	}
	return c.registry().CreateInstance(ctx, ask, client.CreateOptions{Key: c.key(n), Wait: wait})
}

// runs prepares a machine that runs.
func runs(c *cutting) {
	c.ids = []fleet.InstanceID{fleet.KeyedInstanceID(fleet.DefaultProject, c.key(0))}
	c.must(c.create(c.t.Context(), 0, "", time.Minute))
}

// acted prepares a machine to which something was done.
func acted(actions ...fleet.InstanceAction) func(*cutting) {
	return func(c *cutting) {
		runs(c)
		for _, a := range actions {
			c.must(c.registry().ActInstance(c.t.Context(), c.id(), a, client.ActOptions{Wait: time.Minute}))
		}
	}
}

// then prepares something more.
func then(first func(*cutting), more func(*cutting)) func(*cutting) {
	return func(c *cutting) { first(c); more(c) }
}

// accepted is what is asked for by a request that a host accepts.
func accepted(do func(ctx context.Context, c *cutting) (fleet.Accepted, error)) func(context.Context, *cutting) (string, error) {
	return func(ctx context.Context, c *cutting) (string, error) {
		a, err := do(ctx, c)
		return a.Operation, err
	}
}

func acts(a fleet.InstanceAction) func(context.Context, *cutting) (string, error) {
	return accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
		return c.registry().ActInstance(ctx, c.id(), a, client.ActOptions{})
	})
}

// alien prepares a machine that Grapevine did not make.
func alien(c *cutting) {
	id, err := c.host.Hypervisor.Define(simulated.Foreign{Name: c.key(0), Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128, DiskGiB: 2}, Running: true})
	if err != nil {
		c.t.Fatal(err)
	}
	c.ids = []fleet.InstanceID{id}
}

func snapshot(verb fleet.SnapshotVerb, name string) func(context.Context, *cutting) (fleet.Accepted, error) {
	return func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
		wait := time.Duration(0)
		if ctx == c.t.Context() {
			wait = time.Minute
		}
		return c.registry().ChangeSnapshot(ctx, c.id(), fleet.SnapshotChange{Verb: verb, Name: name}, wait)
	}
}

func device(change fleet.DeviceChange) func(context.Context, *cutting) (fleet.Accepted, error) {
	return func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
		wait := time.Duration(0)
		if ctx == c.t.Context() {
			wait = time.Minute
		}
		return c.registry().ChangeDevice(ctx, c.id(), change, wait)
	}
}

func snapped(name string) func(*cutting) {
	return func(c *cutting) { c.must(snapshot(fleet.TakeSnapshot, name)(c.t.Context(), c)) }
}

func attached(c *cutting) {
	c.must(device(fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 1}})(c.t.Context(), c))
}

func rescued(c *cutting) {
	c.must(c.registry().RescueInstance(c.t.Context(), c.id(), fleet.Rescue{Image: "other"}, client.KeyedOptions{Wait: time.Minute}))
}

// operations are those that are done to one machine.
var operations = []operation{
	{
		name: "create", routes: []string{"POST /v1/instances", "PUT /v1/claims/{id}", "PUT /v1/keys/{id}"}, keyed: true,
		prepare: func(c *cutting) { c.ids = []fleet.InstanceID{fleet.KeyedInstanceID(fleet.DefaultProject, c.key(0))} },
		ask:     accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) { return c.create(ctx, 0, "", 0) }),
	},
	{
		name: "clone", routes: []string{"POST /v1/instances"}, keyed: true,
		prepare: then(acted(fleet.Stop), func(c *cutting) { c.ids = append(c.ids, fleet.KeyedInstanceID(fleet.DefaultProject, c.key(1))) }),
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.create(ctx, 1, c.id().String(), 0)
		}),
	},
	{
		name: "delete", routes: []string{"DELETE /v1/instances/{id}"}, prepare: runs,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().DeleteInstance(ctx, c.id(), 0)
		}),
	},
	{name: "start", routes: []string{"POST /v1/instances/{id}/start"}, prepare: acted(fleet.Stop), ask: acts(fleet.Start)},
	{name: "stop", routes: []string{"POST /v1/instances/{id}/stop"}, prepare: runs, ask: acts(fleet.Stop)},
	{name: "reboot", routes: []string{"POST /v1/instances/{id}/reboot"}, prepare: runs, ask: acts(fleet.Reboot), mayFail: true},
	{name: "pause", routes: []string{"POST /v1/instances/{id}/pause"}, prepare: runs, ask: acts(fleet.Pause)},
	{name: "resume", routes: []string{"POST /v1/instances/{id}/resume"}, on: 1, prepare: acted(fleet.Pause), ask: acts(fleet.Resume)},
	{name: "adopt", routes: []string{"POST /v1/instances/{id}/adopt"}, prepare: alien, ask: acts(fleet.Adopt)},
	{name: "disown", routes: []string{"POST /v1/instances/{id}/disown"}, prepare: runs, ask: acts(fleet.Disown)},
	{
		name: "resize stopped", routes: []string{"POST /v1/instances/{id}/resize", "PUT /v1/sizes/{id}"}, on: 1, prepare: acted(fleet.Stop),
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().ResizeInstance(ctx, c.id(), "medium", 0)
		}),
	},
	{
		name: "resize live", routes: []string{"POST /v1/instances/{id}/resize"}, prepare: runs,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().ResizeInstance(ctx, c.id(), "medium", 0)
		}),
	},
	{
		name: "rebuild", routes: []string{"POST /v1/instances/{id}/rebuild"}, keyed: true, prepare: runs,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().RebuildInstance(ctx, c.id(), fleet.Rebuild{Image: "other"}, client.KeyedOptions{Key: c.key(7)})
		}),
	},
	{
		name: "rescue", routes: []string{"POST /v1/instances/{id}/rescue"}, keyed: true, prepare: runs,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().RescueInstance(ctx, c.id(), fleet.Rescue{Image: "other"}, client.KeyedOptions{Key: c.key(7)})
		}),
	},
	{
		name: "unrescue", routes: []string{"POST /v1/instances/{id}/unrescue"}, keyed: true, prepare: then(runs, rescued),
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().UnrescueInstance(ctx, c.id(), client.KeyedOptions{Key: c.key(7)})
		}),
	},
	{
		name: "take snapshot", routes: []string{"POST /v1/instances/{id}/snapshots"}, prepare: runs,
		ask: accepted(snapshot(fleet.TakeSnapshot, "clean")),
	},
	{
		name: "revert to snapshot", routes: []string{"POST /v1/instances/{id}/snapshots/{name}/revert"}, on: 2,
		prepare: then(runs, then(snapped("clean"), func(c *cutting) {
			c.must(c.registry().ActInstance(c.t.Context(), c.id(), fleet.Stop, client.ActOptions{Wait: time.Minute}))
		})),
		ask: accepted(snapshot(fleet.RevertSnapshot, "clean")),
	},
	{
		name: "delete snapshot", routes: []string{"DELETE /v1/instances/{id}/snapshots/{name}"}, prepare: then(runs, snapped("clean")),
		ask: accepted(snapshot(fleet.DeleteSnapshot, "clean")),
	},
	{
		name: "attach a disk", routes: []string{"POST /v1/instances/{id}/devices"}, prepare: runs,
		ask: accepted(device(fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 3}})),
	},
	{
		name: "detach a disk", routes: []string{"DELETE /v1/instances/{id}/devices/{name}"}, on: 2, prepare: then(runs, attached),
		ask: accepted(device(fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "disk-1"})),
	},
	{
		name: "grow a disk", routes: []string{"POST /v1/instances/{id}/devices/{name}/grow"}, prepare: then(runs, attached),
		ask: accepted(device(fleet.DeviceChange{Verb: fleet.GrowDisk, Name: "disk-1", Device: fleet.AttachRequest{SizeGiB: 4}})),
	},
	{
		name: "autostart", routes: []string{"POST /v1/instances/{id}/autostart"}, prepare: runs,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().SetAutostart(ctx, c.id(), fleet.Booting{Autostart: fleet.AutostartAlways, StartOrder: 3}, 0)
		}),
	},
}
