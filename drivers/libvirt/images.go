package libvirt

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// An image is a volume for each file and one for its manifest, written last:
// without a manifest there is no image, only what an interrupted import left.
const imagePrefix = "image-"

func fileName(id string, role fleet.ImageRole) string { return imagePrefix + id + "-" + string(role) }
func manifestName(id string) string                   { return imagePrefix + id + ".json" }

// imageVolumes are the names of all volumes that an image may have, the
// manifest first.
func imageVolumes(id string) []string {
	return []string{manifestName(id), fileName(id, fleet.RoleKernel), fileName(id, fleet.RoleInitrd), fileName(id, fleet.RoleDisk)}
}

// maxManifest bounds a manifest; three files and a command line are 3 KiB.
const maxManifest = 64 << 10

// shelf is what the driver remembers of images: their manifests, which never
// change. busy serialises imports and removals.
type shelf struct {
	busy  chan struct{}
	mu    sync.Mutex
	known map[string]fleet.Image
	swept bool // under busy
}

func newShelf() *shelf {
	return &shelf{busy: make(chan struct{}, 1), known: make(map[string]fleet.Image)}
}

func (s *shelf) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.busy <- struct{}{}:
		return func() { <-s.busy }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Images implements drivers.ImageStore.
func (d *Driver) Images(ctx context.Context) ([]fleet.Image, error) {
	if err := d.sweepOnce(ctx); err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	images, err := d.listImages(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return images, nil
}

// sweepOnce sweeps at the driver's first look at its images, which is the
// agent's start; an import under way then has swept already.
func (d *Driver) sweepOnce(ctx context.Context) error {
	select {
	case d.images.busy <- struct{}{}:
		defer func() { <-d.images.busy }()
	default:
		return nil
	}
	if d.images.swept {
		return nil
	}
	_, err := d.sweep(ctx)
	return err
}

func (d *Driver) listImages(ctx context.Context) ([]fleet.Image, error) {
	pool, err := d.ensurePool(ctx)
	if err != nil {
		return nil, err
	}
	names, err := d.volumeNames(ctx, pool)
	if err != nil {
		return nil, err
	}
	images := []fleet.Image{}
	for _, name := range names {
		id, ok := strings.CutSuffix(strings.TrimPrefix(name, imagePrefix), ".json")
		if !ok || !strings.HasPrefix(name, imagePrefix) || !fleet.IsImageID(id) {
			continue
		}
		im, err := d.manifest(ctx, pool, id)
		switch {
		case err == nil && complete(im, names):
			images = append(images, im)
		case err != nil && !errors.Is(err, errBadManifest) && !errors.Is(err, drivers.ErrNotFound):
			return nil, err // it may be whole all the same
		}
	}
	slices.SortFunc(images, func(a, b fleet.Image) int { return cmp.Compare(a.ID, b.ID) })
	return images, nil
}

// complete reports whether all files of the image are among these volumes.
func complete(im fleet.Image, names []string) bool {
	for _, f := range im.Files {
		if !slices.Contains(names, fileName(im.ID, f.Role)) {
			return false
		}
	}
	return true
}

// heldImage returns the manifest of an image that is there, or ErrNotFound.
func (d *Driver) heldImage(ctx context.Context, pool golibvirt.StoragePool, id string) (fleet.Image, error) {
	if _, err := d.volume(ctx, pool, manifestName(id)); err != nil {
		return fleet.Image{}, fmt.Errorf("find image %.12s: %w", id, err)
	}
	return d.manifest(ctx, pool, id)
}

// manifest reads an image's manifest, once.
func (d *Driver) manifest(ctx context.Context, pool golibvirt.StoragePool, id string) (fleet.Image, error) {
	d.images.mu.Lock()
	im, ok := d.images.known[id]
	d.images.mu.Unlock()
	if ok {
		return im, nil
	}
	im, err := d.readManifest(ctx, pool, id)
	if err != nil {
		return im, fmt.Errorf("read manifest of image %.12s: %w", id, err)
	}
	d.images.mu.Lock()
	defer d.images.mu.Unlock()
	d.images.known[id] = im
	return im, nil
}

func (d *Driver) readManifest(ctx context.Context, pool golibvirt.StoragePool, id string) (im fleet.Image, err error) {
	vol, err := d.volume(ctx, pool, manifestName(id))
	if err != nil {
		return im, err
	}
	content, err := d.session.download(ctx, vol, 0)
	if err != nil {
		return im, err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, maxManifest))
	if err != nil {
		return im, err
	}
	if err := json.Unmarshal(text, &im); err != nil {
		return im, fmt.Errorf("%w: %w", errBadManifest, err)
	}
	if err := im.Validate(); err != nil {
		return im, fmt.Errorf("%w: %w", errBadManifest, err)
	}
	if im.ID != id {
		return im, fmt.Errorf("%w: it is that of image %.12s", errBadManifest, im.ID)
	}
	return im, nil
}

// errBadManifest: the manifest was not written to its end.
var errBadManifest = errors.New("the manifest cannot be understood")

func (d *Driver) forgetManifest(id string) {
	d.images.mu.Lock()
	defer d.images.mu.Unlock()
	delete(d.images.known, id)
}

// ImportImage implements drivers.ImageStore.
func (d *Driver) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	if err := d.importImage(ctx, im, content); err != nil {
		return fmt.Errorf("import image %q: %w", im.Name, err)
	}
	return nil
}

func (d *Driver) importImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	if err := im.Validate(); err != nil {
		return fmt.Errorf("%w: %w", drivers.ErrBadImage, err)
	}
	unlock, err := d.images.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := d.sweep(ctx)
	if err != nil || slices.Contains(held, im.ID) {
		return err
	}
	pool, err := d.ensurePool(ctx)
	if err != nil {
		return err
	}
	if err := d.storeImage(ctx, pool, im, content); err != nil {
		return errors.Join(err, d.undo(ctx, func(ctx context.Context) error {
			return d.deleteVolumes(ctx, pool, imageVolumes(im.ID)...)
		}))
	}
	return nil
}

func (d *Driver) storeImage(ctx context.Context, pool golibvirt.StoragePool, im fleet.Image, content io.Reader) error {
	err := drivers.EachFile(im, content, func(f fleet.ImageFile, r io.Reader) error {
		if f.Role == fleet.RoleDisk {
			head := bufio.NewReaderSize(r, headBytes)
			if err := checkDisk(f, head); err != nil {
				return err
			}
			r = head
		}
		return d.fill(ctx, pool, fileName(im.ID, f.Role), f.Bytes, r)
	})
	if err != nil {
		return err
	}
	im.Hosts = nil
	text, err := json.Marshal(im)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	return d.fill(ctx, pool, manifestName(im.ID), int64(len(text)), bytes.NewReader(text))
}

// fill makes a volume and sends its content.
func (d *Driver) fill(ctx context.Context, pool golibvirt.StoragePool, name string, length int64, r io.Reader) error {
	vol, err := d.createVolume(ctx, pool, rawVolume(name, length))
	if err != nil {
		return err
	}
	if err := d.session.upload(ctx, vol, r, length); err != nil {
		return fmt.Errorf("upload volume %s: %w", name, err)
	}
	return nil
}

// sweep returns the ids of the complete images, and removes the volumes of
// images that are not: those of imports that a crash has interrupted. The
// caller holds the shelf's lock; no import is under way.
func (d *Driver) sweep(ctx context.Context) ([]string, error) {
	images, err := d.listImages(ctx)
	if err != nil {
		return nil, err
	}
	held := make([]string, len(images))
	for i, im := range images {
		held[i] = im.ID
	}
	pool, err := d.ensurePool(ctx)
	if err != nil {
		return nil, err
	}
	names, err := d.volumeNames(ctx, pool)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rest, ours := strings.CutPrefix(name, imagePrefix)
		if !ours || len(rest) < 64 || !fleet.IsImageID(rest[:64]) || slices.Contains(held, rest[:64]) {
			continue
		}
		d.log.Info("volume of an interrupted import removed", "volume", name)
		if err := d.deleteVolumes(ctx, pool, name); err != nil {
			return nil, err
		}
	}
	d.images.swept = true
	return held, nil
}

// RemoveImage implements drivers.ImageStore. An image that a machine was built
// from stays: the machine's disk and kernel are parts of it.
func (d *Driver) RemoveImage(ctx context.Context, id string) error {
	if err := d.removeImage(ctx, id); err != nil {
		return fmt.Errorf("remove image %.12s: %w", id, err)
	}
	return nil
}

func (d *Driver) removeImage(ctx context.Context, id string) error {
	if !fleet.IsImageID(id) {
		return nil
	}
	unlock, err := d.images.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	pool, err := d.findPool(ctx)
	if errors.Is(err, drivers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	machines, err := d.list(ctx)
	if err != nil {
		return err
	}
	for _, m := range machines {
		if m.Mark != nil && m.Mark.Image == id {
			return &fleet.Error{
				Code:   fleet.CodeConflict,
				Detail: fmt.Sprintf("instance %s (%s) is built on image %.12s; delete it first", m.ID, m.Mark.Name, id),
			}
		}
	}
	d.forgetManifest(id)
	return d.deleteVolumes(ctx, pool, imageVolumes(id)...)
}
