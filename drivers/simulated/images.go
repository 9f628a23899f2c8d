package simulated

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Images implements drivers.ImageStore.
func (d *Driver) Images(ctx context.Context) ([]fleet.Image, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	out := make([]fleet.Image, 0, len(d.h.images))
	for _, im := range d.h.images {
		im.Files = slices.Clone(im.Files)
		out = append(out, im)
	}
	slices.SortFunc(out, func(a, b fleet.Image) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// ImportImage implements drivers.ImageStore. Nothing boots from the content; it
// is kept so that other hosts can fetch it.
func (d *Driver) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	if err := d.importImage(ctx, im, content); err != nil {
		return fmt.Errorf("import image %.12s: %w", im.ID, err)
	}
	return nil
}

func (d *Driver) importImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	c, done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	held, full := d.h.room(im.ID)
	if held {
		return nil
	}
	if full {
		return drivers.ErrOutOfSpace
	}
	var kept []fleet.ImageFile
	err = drivers.EachFile(im, &callReader{ctx, c, content}, func(f fleet.ImageFile, r io.Reader) error {
		if err := d.h.keepContent(f, r); err != nil {
			return err
		}
		kept = append(kept, f)
		return nil
	})
	im.Files, im.Hosts = slices.Clone(im.Files), nil
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if err == nil {
		err = d.h.addImage(im)
	}
	if err != nil {
		return errors.Join(err, d.h.dropContents(kept))
	}
	return nil
}

// addImage takes an image in, of which the content is there. Of two that came
// at once the first stands. The caller holds the lock.
func (h *Hypervisor) addImage(im fleet.Image) error {
	if _, held := h.images[im.ID]; held {
		return h.dropContents(im.StoredFiles())
	}
	if err := h.store.save(imagesDir, im.ID, im); err != nil {
		return err
	}
	h.images[im.ID] = im
	return nil
}

// room says whether the image is there, and whether the storage is full.
func (h *Hypervisor) room(id string) (held, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, held = h.images[id]
	return held, h.full
}

// RemoveImage implements drivers.ImageStore.
func (d *Driver) RemoveImage(ctx context.Context, id string) error {
	_, done, err := d.begin(ctx)
	if err != nil {
		return fmt.Errorf("remove image %.12s: %w", id, err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	im, held := d.h.images[id]
	if !held {
		return nil
	}
	if err := d.h.store.remove(imagesDir, id); err != nil {
		return fmt.Errorf("remove image %.12s: %w", id, err)
	}
	delete(d.h.images, id)
	if err := d.h.dropContents(im.StoredFiles()); err != nil {
		return fmt.Errorf("remove image %.12s: %w", id, err)
	}
	return nil
}

// callReader ends reading when the call has ended.
type callReader struct {
	ctx context.Context // io.Reader has no place for it; the reader ends with the call
	c   *call
	r   io.Reader
}

func (r *callReader) Read(p []byte) (int, error) {
	if err := r.c.ended(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
