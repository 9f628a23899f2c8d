package storage

import (
	"context"
	"fmt"
	"io"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Disks are the formats of disks that are taken as they are: QEMU reads them.
var Disks = []string{fleet.FormatQCOW2, fleet.FormatRaw, fleet.FormatVMDK}

// ReadImage reads a part of a file of an image, as drivers.ImageReader says. It
// holds a connection until it is closed.
func (s *Storage) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	content, err := s.readImage(ctx, id, role, offset, length)
	if err != nil {
		return nil, fmt.Errorf("read %.20s of image %.12s: %w", role, id, err)
	}
	return content, nil
}

func (s *Storage) readImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	if !fleet.IsImageID(id) {
		return nil, drivers.ErrNotFound
	}
	pool, err := s.Find(ctx)
	if err != nil {
		return nil, err
	}
	im, err := s.Image(ctx, pool, id)
	if err != nil {
		return nil, err
	}
	f, ok := im.File(role)
	if !ok || offset >= f.Bytes || im.Stored != nil {
		return nil, drivers.ErrNotFound
	}
	vol, err := pool.Volume(ctx, FileName(id, role))
	if err != nil {
		return nil, err
	}
	// A volume may be longer than what was written: storage rounds sizes up.
	return s.session.Download(ctx, vol, offset, min(length, f.Bytes-offset))
}
