package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"grapevine/fleet"
)

// maxManifest bounds a manifest; three files and a command line are 3 KiB.
const maxManifest = 64 << 10

// shelf is what is remembered of images: their manifests, which never change.
// busy serialises imports and removals.
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

// Image returns the manifest of an image that is there, or ErrNotFound.
func (s *Storage) Image(ctx context.Context, pool *Pool, id string) (fleet.Image, error) {
	if _, err := pool.Volume(ctx, manifestName(id)); err != nil {
		return fleet.Image{}, fmt.Errorf("find image %.12s: %w", id, err)
	}
	return s.manifest(ctx, pool, id)
}

// manifest reads an image's manifest, once.
func (s *Storage) manifest(ctx context.Context, pool *Pool, id string) (fleet.Image, error) {
	s.images.mu.Lock()
	im, ok := s.images.known[id]
	s.images.mu.Unlock()
	if ok {
		return im, nil
	}
	im, err := s.readManifest(ctx, pool, id)
	if err != nil {
		return im, fmt.Errorf("read manifest of image %.12s: %w", id, err)
	}
	s.images.mu.Lock()
	defer s.images.mu.Unlock()
	s.images.known[id] = im
	return im, nil
}

func (s *Storage) readManifest(ctx context.Context, pool *Pool, id string) (im fleet.Image, err error) {
	vol, err := pool.Volume(ctx, manifestName(id))
	if err != nil {
		return im, err
	}
	content, err := s.session.Download(ctx, vol, 0, 0)
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

func (s *Storage) forgetManifest(id string) {
	s.images.mu.Lock()
	defer s.images.mu.Unlock()
	delete(s.images.known, id)
}
