package proofs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"grapevine/agent/journal"
	"grapevine/fleet"
)

// said is what is asked for by a request that is done when it is answered.
func said(do func(ctx context.Context, c *cutting) error) func(context.Context, *cutting) (string, error) {
	return func(ctx context.Context, c *cutting) (string, error) { return "", do(ctx, c) }
}

// never is for what must work where nothing is cut.
func (c *cutting) never(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("prepare %s: %v", c.op.name, err)
	}
}

func hosts(action fleet.HostAction) func(context.Context, *cutting) error {
	return func(ctx context.Context, c *cutting) error {
		_, err := c.registry().ActHost(ctx, c.host.ID, action)
		return err
	}
}

// hostState is what everybody sees of the host.
func hostState(c *cutting) (any, error) {
	row, err := c.registry().Host(c.t.Context(), c.host.ID)
	return row.State, err
}

var aDrain = fleet.DrainRequest{Mode: fleet.DrainStop, DeadlineMS: time.Minute.Milliseconds()}

func drains(ctx context.Context, c *cutting) error {
	_, err := c.registry().StartDrain(ctx, c.host.ID, aDrain)
	return err
}

func undrains(ctx context.Context, c *cutting) error {
	_, err := c.registry().Undrain(ctx, c.host.ID)
	return err
}

// drained says why a drain, or its end, is not over yet. The journal is asked,
// for an agent that stands still at a point may hold its drain's lock.
func drained(c *cutting) error {
	m, err := c.remembers()
	if err != nil {
		return err
	}
	waits := m.drain.Phase == fleet.DrainRestoring || m.drain.Phase == fleet.DrainGoing && len(m.drain.Machines) < len(c.ids)
	for _, d := range m.drain.Machines {
		waits = waits || m.drain.Phase == fleet.DrainGoing && d.Outcome == ""
	}
	if waits {
		return fmt.Errorf("the drain is %s: %+v", m.drain.Phase, m.drain.Machines)
	}
	return nil
}

// drainSeen is the host's drain, nothing where it is not being emptied.
func drainSeen(c *cutting) (any, error) {
	m, err := c.remembers()
	if err != nil || m.drain.Phase != fleet.DrainGoing {
		m.drain = journal.Drain{}
	}
	m.drain.StartedAt = time.Time{}
	return m.drain, err
}

// settledAfter prepares something, and waits until all of it is over.
func settledAfter(do func(context.Context, *cutting) error) func(*cutting) {
	return func(c *cutting) {
		c.never(do(c.t.Context(), c))
		c.never(c.settle())
	}
}

// picture is an image of the round's own.
func (c *cutting) picture() (fleet.Image, []byte) {
	content := []byte("a disk of " + c.key(0))
	sum := sha256.Sum256(content)
	file := fleet.ImageFile{
		Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "raw", VirtualBytes: int64(len(content)),
	}
	return fleet.Image{ID: file.SHA256, Name: c.key(0), Files: []fleet.ImageFile{file}, Bytes: file.Bytes}, content
}

func imports(_ context.Context, c *cutting) error {
	im, content := c.picture()
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	_, err := c.host.Client.ImportContent(ctx, c.host.ID, im, bytes.NewReader(content))
	return err
}

func dropsImage(ctx context.Context, c *cutting) error {
	im, _ := c.picture()
	_, err := c.registry().DeleteImage(ctx, im.ID, c.host.ID)
	return err
}

// imagesSeen counts the images of the host.
func imagesSeen(c *cutting) (any, error) {
	d := c.host.Hypervisor.Connect()
	defer d.Close()
	list, err := d.Images(c.t.Context())
	return len(list), err
}

// imagesTold says whether the fleet knows how many images the host has.
func imagesTold(c *cutting) error {
	n, err := imagesSeen(c)
	if err != nil {
		return err
	}
	row, err := c.registry().Host(c.t.Context(), c.host.ID)
	if err == nil && len(row.Images) != n {
		err = fmt.Errorf("%s shows %d images and has %v", row.Name, len(row.Images), n)
	}
	return err
}

// dropsOthers removes all images that no other round knows of.
func dropsOthers(c *cutting) {
	other, _ := otherImage()
	d := c.host.Hypervisor.Connect()
	defer d.Close()
	list, err := d.Images(c.t.Context())
	c.never(err)
	for _, im := range list {
		if im.ID != c.image.ID && im.ID != other.ID {
			_, err := c.registry().DeleteImage(c.t.Context(), im.ID, c.host.ID)
			c.never(err)
		}
	}
}

// wrote prepares a stopped machine to whose disk its guest has written.
func wrote(c *cutting) {
	acted(fleet.Stop)(c)
	c.never(c.host.Hypervisor.WriteDisk(c.id(), "disk-0", 512, []byte(c.key(0))))
}

// exportSeen is what is prepared to be carried away.
func exportSeen(c *cutting) (any, error) {
	e, err := c.registry().Export(c.t.Context(), c.id())
	if fleet.CodeOf(err) == fleet.CodeNotFound {
		return nil, nil
	}
	return len(e.Files), err
}

func dropsExport(ctx context.Context, c *cutting) error { return c.registry().DropExport(ctx, c.id()) }

// hostOperations are those that are not done to a machine alone.
var hostOperations = []operation{
	{name: "cordon", routes: []string{"POST /v1/hosts/{id}/cordon"}, prepare: func(*cutting) {}, ask: said(hosts(fleet.Cordon)), shows: hostState, after: settledAfter(hosts(fleet.Uncordon))},
	{name: "uncordon", routes: []string{"POST /v1/hosts/{id}/uncordon"}, prepare: settledAfter(hosts(fleet.Cordon)), ask: said(hosts(fleet.Uncordon)), shows: hostState},
	{
		name: "drain", routes: []string{"POST /v1/hosts/{id}/drain"}, prepare: runs, ask: said(drains), ends: drained, shows: drainSeen,
		after: settledAfter(undrains),
	},
	{
		name: "undrain", routes: []string{"POST /v1/hosts/{id}/undrain"}, prepare: then(runs, settledAfter(drains)), ask: said(undrains),
		ends: drained, shows: drainSeen,
	},
	{
		name: "import an image", routes: []string{"POST /v1/images"}, prepare: func(*cutting) {}, ask: said(imports), ends: imagesTold, shows: imagesSeen,
		after: dropsOthers,
	},
	{
		name: "delete an image", routes: []string{"DELETE /v1/images/{id}"}, prepare: settledAfter(imports), ask: said(dropsImage),
		ends: imagesTold, shows: imagesSeen, after: dropsOthers,
	},
	{
		name: "capture", routes: []string{"POST /v1/instances/{id}/capture"}, prepare: wrote,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().CaptureInstance(ctx, c.id(), fleet.CaptureInstance{ImageName: "captured"}, 0)
		}),
		ends: imagesTold, shows: imagesSeen, after: dropsOthers,
	},
	{
		name: "export", routes: []string{"POST /v1/instances/{id}/export"}, prepare: wrote,
		ask: accepted(func(ctx context.Context, c *cutting) (fleet.Accepted, error) {
			return c.registry().ExportInstance(ctx, c.id(), 0)
		}),
		shows: exportSeen, after: settledAfter(dropsExport),
	},
	{
		name: "drop an export", routes: []string{"DELETE /v1/instances/{id}/export"},
		prepare: then(wrote, func(c *cutting) { c.must(c.registry().ExportInstance(c.t.Context(), c.id(), time.Minute)) }),
		ask:     said(dropsExport), shows: exportSeen,
	},
}
