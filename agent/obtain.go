package agent

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"sync"
	"time"

	"grapevine/agent/convert"
	"grapevine/agent/fetch"
	"grapevine/agent/journal"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/tracing"
)

// maxSources bounds how many holders one image is fetched from: each costs a TLS
// connection for each range under way.
const maxSources = 8

// imageTraits are the traits that say which images the host can get from others.
func imageTraits(d *drivers.Description) []string {
	var traits []string
	formats := d.Disks
	if len(formats) > 0 && convert.Available() {
		formats = convert.Formats // all are converted to one of these
	}
	for _, format := range formats {
		traits = append(traits, fleet.TraitImagePrefix+format)
	}
	if len(d.Disks) > 0 && slices.Contains(d.Features, drivers.FeatureBootKernel) {
		traits = append(traits, fleet.TraitImageKernel)
	}
	if len(d.Disks) > 0 && slices.Contains(d.Features, drivers.FeatureBootISO) {
		traits = append(traits, fleet.TraitImageISO)
	}
	return traits
}

// obtainable is what this host must have to get an image from another; empty
// where no holder can be heard from here.
func (a *Agent) obtainable(ctx context.Context, id string) string {
	im, err := a.Image(ctx, id)
	if err != nil || im.ID != id {
		return ""
	}
	return a.Obtainable(&im)
}

// obtain returns the image that an instance is built on, and gets it from its
// holders where this host does not have it.
func (a *Agent) obtain(ctx context.Context, op *journal.Operation, id string) (fleet.Image, error) {
	if im, err := a.image(id); err == nil {
		return im, nil
	}
	if err := a.step(ctx, op, "fetching image"); err != nil {
		return fleet.Image{}, err
	}
	im, err := a.fetched(ctx, id)
	if err != nil {
		return fleet.Image{}, err
	}
	return im, a.step(ctx, op, "building")
}

// fetched returns an image that is here, or that its holders give.
func (a *Agent) fetched(ctx context.Context, id string) (fleet.Image, error) {
	if im, err := a.image(id); err == nil {
		return im, nil
	}
	ctx, span := tracing.Start(ctx, "wait for image")
	span.Text("grapevine.image", id)
	im, err := a.shelf.board(ctx, id, func() *flight { return a.depart(ctx, id) })
	span.End(err)
	if err != nil {
		return fleet.Image{}, fmt.Errorf("get image %.12s: %w", id, err)
	}
	return im, nil
}

// depart begins to bring an image here, in the trace of whoever wants it first.
// The caller holds the shelf's lock.
func (a *Agent) depart(first context.Context, id string) *flight {
	ctx, cancel := context.WithCancel(tracing.Joined(a.running, first))
	ctx, done := a.told.listen(ctx, id)
	f := &flight{cancel: cancel, ended: make(chan struct{})}
	im, err := a.Image(ctx, id)
	f.total.Store(im.Bytes)
	a.operations.Go(func() {
		defer cancel()
		defer done()
		begun := time.Now()
		if err == nil {
			ctx, span := tracing.Start(ctx, "fetch image")
			span.Text("grapevine.image", id)
			im, err = a.bring(ctx, im, func(done int64) { f.done.Store(done) })
			span.Number("grapevine.bytes", im.Bytes)
			span.End(err)
		}
		a.shelf.land(id, f, im, err)
		if err != nil {
			a.log.WarnContext(ctx, "image not fetched", "image", id, "error", err)
			return
		}
		a.log.InfoContext(ctx, "image fetched", "image", id, "bytes", im.Bytes, "took", time.Since(begun))
	})
	return f
}

// bring fetches an image from its holders and gives it to the hypervisor.
func (a *Agent) bring(ctx context.Context, im fleet.Image, progress func(int64)) (fleet.Image, error) {
	if held, err := a.image(im.ID); err == nil {
		return held, nil // it came between the look and the flight
	}
	if err := im.Validate(); err != nil {
		return fleet.Image{}, err
	}
	a.trimCache(ctx, im.Bytes)
	content, err := a.spool.Fetch(ctx, im, a.holders(im.ID), progress)
	if err != nil {
		return fleet.Image{}, err
	}
	im, err = a.keep(ctx, im, content.Paths())
	if err == nil {
		a.noteFetched(im.ID)
	}
	return im, errors.Join(err, content.Close())
}

// lookAgain is how long a list of holders is used.
const lookAgain = time.Second

// holders returns what lists the holders of an image, as they are at the time.
func (a *Agent) holders(id string) func() []fetch.Source {
	var mu sync.Mutex
	var list []fetch.Source
	var at time.Time
	return func() []fetch.Source {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); len(list) == 0 || now.Sub(at) > lookAgain {
			list, at = a.sources(id), now
		}
		return list
	}
}

// sources are some of the holders that can be heard: the same ones each time, as
// far as they are there, and others for each host, so that a fleet which wants
// one image does not ask the same few for it.
func (a *Agent) sources(id string) []fetch.Source {
	hosts := a.ImageSources(id)
	slices.SortFunc(hosts, func(x, y fleet.HostID) int {
		return cmp.Or(cmp.Compare(a.affinity(x), a.affinity(y)), x.Compare(y))
	})
	var out []fetch.Source
	for _, host := range hosts[:min(len(hosts), maxSources)] {
		out = append(out, fetch.Source{Name: a.HostName(host), Read: a.reading(host, id)})
	}
	return out
}

// affinity orders other hosts, for each host in another way.
func (a *Agent) affinity(other fleet.HostID) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(a.hostID[:]) // a hash takes everything
	_, _ = h.Write(other[:])
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// reading reads an image at a holder.
func (a *Agent) reading(host fleet.HostID, id string) func(context.Context, fleet.ImageRole, int64, int64) (io.ReadCloser, error) {
	return func(ctx context.Context, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
		peer, err := a.Peer(host)
		if err != nil {
			return nil, err
		}
		r, err := peer.ReadImage(ctx, id, role, offset, length)
		if code := fleet.CodeOf(err); code == fleet.CodeTooMany || code == fleet.CodeNotReady {
			err = fmt.Errorf("%w: %w", fetch.ErrBusy, err)
		}
		return r, err
	}
}
