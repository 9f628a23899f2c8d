package storage

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

// imagePrefix begins the names of images' volumes.
const imagePrefix = "image-"

// FileName names the volume of an image's file.
func FileName(id string, role fleet.ImageRole) string { return imagePrefix + id + "-" + string(role) }
func manifestName(id string) string                   { return imagePrefix + id + ".json" }

// ImageOfISO returns the image whose ISO is at this path, empty where it is
// none of ours.
func ImageOfISO(path string) string {
	id, ok := strings.CutPrefix(filepath.Base(path), imagePrefix)
	id, iso := strings.CutSuffix(id, "-"+string(fleet.RoleISO))
	if !ok || !iso || !fleet.IsImageID(id) {
		return ""
	}
	return id
}

// imageVolumes are the names of all volumes that an image may have, the
// manifest first.
func imageVolumes(id string) []string {
	return []string{manifestName(id), FileName(id, fleet.RoleKernel), FileName(id, fleet.RoleInitrd), FileName(id, fleet.RoleDisk), FileName(id, fleet.RoleISO)}
}

// Images lists the complete images, ordered by id, as drivers.ImageStore says.
func (s *Storage) Images(ctx context.Context) ([]fleet.Image, error) {
	if err := s.sweepOnce(ctx); err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	images, err := s.listImages(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return images, nil
}

// sweepOnce sweeps at the first look at the images, which is the agent's
// start; an import under way then has swept already.
func (s *Storage) sweepOnce(ctx context.Context) error {
	select {
	case s.images.busy <- struct{}{}:
		defer func() { <-s.images.busy }()
	default:
		return nil
	}
	if s.images.swept {
		return nil
	}
	_, err := s.sweep(ctx)
	return err
}

func (s *Storage) listImages(ctx context.Context) ([]fleet.Image, error) {
	pool, err := s.Pool(ctx)
	if err != nil {
		return nil, err
	}
	names, err := pool.Names(ctx)
	if err != nil {
		return nil, err
	}
	images := []fleet.Image{}
	for _, name := range names {
		id, ok := strings.CutSuffix(strings.TrimPrefix(name, imagePrefix), ".json")
		if !ok || !strings.HasPrefix(name, imagePrefix) || !fleet.IsImageID(id) {
			continue
		}
		im, err := s.manifest(ctx, pool, id)
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
		if !slices.Contains(names, FileName(im.ID, f.Role)) {
			return false
		}
	}
	return true
}

// ImportImage stores an image, as drivers.ImageStore says.
func (s *Storage) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	if err := s.importImage(ctx, im, content); err != nil {
		return fmt.Errorf("import image %q: %w", im.Name, err)
	}
	return nil
}

func (s *Storage) importImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	if err := im.Validate(); err != nil {
		return fmt.Errorf("%w: %w", drivers.ErrBadImage, err)
	}
	unlock, err := s.images.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := s.sweep(ctx)
	if err != nil || slices.Contains(held, im.ID) {
		return err
	}
	pool, err := s.Pool(ctx)
	if err != nil {
		return err
	}
	if err := s.storeImage(ctx, pool, im, content); err != nil {
		return pool.Undo(ctx, err, imageVolumes(im.ID)...)
	}
	return nil
}

func (s *Storage) storeImage(ctx context.Context, pool *Pool, im fleet.Image, content io.Reader) error {
	err := drivers.EachFile(im, content, func(f fleet.ImageFile, r io.Reader) error {
		if f.Role == fleet.RoleDisk {
			head := bufio.NewReaderSize(r, headBytes)
			if err := checkDisk(f, head); err != nil {
				return err
			}
			r = head
		}
		return pool.Fill(ctx, FileName(im.ID, f.Role), f.Bytes, r)
	})
	if err != nil {
		return err
	}
	im.Hosts = nil
	text, err := json.Marshal(im)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	return pool.Fill(ctx, manifestName(im.ID), int64(len(text)), bytes.NewReader(text))
}

// Fill makes a volume and sends its content.
func (p *Pool) Fill(ctx context.Context, name string, length int64, r io.Reader) error {
	vol, err := p.Create(ctx, Raw(name, length))
	if err != nil {
		return err
	}
	if err := p.session.Upload(ctx, vol, r, length); err != nil {
		return fmt.Errorf("upload volume %s: %w", name, err)
	}
	return nil
}

// sweep returns the ids of the complete images, and removes the volumes of
// images that are not: those of imports that a crash has interrupted. The
// caller holds the shelf's lock; no import is under way.
func (s *Storage) sweep(ctx context.Context) ([]string, error) {
	images, err := s.listImages(ctx)
	if err != nil {
		return nil, err
	}
	held := make([]string, len(images))
	for i, im := range images {
		held[i] = im.ID
	}
	pool, err := s.Pool(ctx)
	if err != nil {
		return nil, err
	}
	names, err := pool.Names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rest, ours := strings.CutPrefix(name, imagePrefix)
		if !ours || len(rest) < 64 || !fleet.IsImageID(rest[:64]) || slices.Contains(held, rest[:64]) {
			continue
		}
		s.log.Info("volume of an interrupted import removed", "volume", name)
		if err := pool.Delete(ctx, name); err != nil {
			return nil, err
		}
	}
	s.images.swept = true
	return held, nil
}

// RemoveImage removes an image that used, which is asked while no import or
// removal is under way, does not object to.
func (s *Storage) RemoveImage(ctx context.Context, id string, used func(context.Context) error) error {
	if err := s.removeImage(ctx, id, used); err != nil {
		return fmt.Errorf("remove image %.12s: %w", id, err)
	}
	return nil
}

func (s *Storage) removeImage(ctx context.Context, id string, used func(context.Context) error) error {
	if !fleet.IsImageID(id) {
		return nil
	}
	unlock, err := s.images.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	pool, err := s.Find(ctx)
	if errors.Is(err, drivers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := used(ctx); err != nil {
		return err
	}
	s.forgetManifest(id)
	return pool.Delete(ctx, imageVolumes(id)...)
}
