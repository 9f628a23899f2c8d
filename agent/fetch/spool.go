package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"grapevine/fleet"
)

// The errors that callers tell apart.
var (
	// ErrOutOfSpace: the spool's file system has no room for the content.
	ErrOutOfSpace = errors.New("out of space in the spool")
	// ErrBadContent: what came is not what the manifest says.
	ErrBadContent = errors.New("the content is not the image's")
	// ErrBusy: a holder gives to as many as it can; ask it again later.
	ErrBusy = errors.New("the holder is busy")
	// ErrNoSource: nobody who holds the image can be asked.
	ErrNoSource = errors.New("no host that holds the image can be heard")
)

// Source is a holder of the image.
type Source struct {
	Name string
	// Read reads a part of a file. An error that wraps ErrBusy says that the
	// holder works, and that it is to be asked again later.
	Read func(ctx context.Context, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error)
}

// Config is how a spool fetches; all but Dir may be zero.
type Config struct {
	// Dir is the spool's folder, of which it is the only user.
	Dir string
	// RangeBytes is the length of a range, AtOnce how many of an image are on
	// their way at the same time.
	RangeBytes int64
	AtOnce     int
	// Stall is how long a holder may send nothing.
	Stall time.Duration
	// Retry is how long a holder that is busy or has failed is left alone.
	Retry time.Duration
	// Free returns how many bytes may still be written to a folder.
	Free func(dir string) (int64, error)
	Log  *slog.Logger
}

// The settings that are used where Config has none. Four ranges of 8 MiB keep a
// link of 10 Gb/s busy over a round trip of 20 ms.
const (
	rangeBytes = 8 << 20
	atOnce     = 4
	stall      = 20 * time.Second
	retry      = time.Second
)

// keepPartial is how long a fetch that broke off is kept for another try.
const keepPartial = fleet.UploadKept

// spareBytes stay free on the spool's file system: the journal may lie there.
const spareBytes = 64 << 20

// Spool is the folder through which images come to this host. Its methods may
// be called from several goroutines, one for each image at a time.
type Spool struct{ cfg Config }

// Open makes the folder where it is missing, and removes from it what nobody
// has gone on with for a day.
func Open(cfg Config) (*Spool, error) {
	if cfg.RangeBytes == 0 {
		cfg.RangeBytes = rangeBytes
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = atOnce
	}
	if cfg.Stall == 0 {
		cfg.Stall = stall
	}
	if cfg.Retry == 0 {
		cfg.Retry = retry
	}
	if cfg.Free == nil {
		cfg.Free = free
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Spool{cfg}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	return s, s.Tidy(time.Now().Add(-keepPartial))
}

// Tidy removes what nobody has written to since then.
func (s *Spool) Tidy(since time.Time) error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("list spool: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(s.cfg.Dir, entry.Name())
		if newest(path).Before(since) {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// newest is when something in a folder was last written to.
func newest(dir string) time.Time {
	var at time.Time
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := entry.Info(); err == nil && info.ModTime().After(at) {
			at = info.ModTime()
		}
		return nil
	})
	return at
}

// Folder is where what belongs to one id lies; it need not exist.
func (s *Spool) Folder(id string) string { return filepath.Join(s.cfg.Dir, id) }

// Drop removes what there is of an image.
func (s *Spool) Drop(id string) error {
	if !fleet.IsImageID(id) {
		return nil
	}
	if err := os.RemoveAll(s.Folder(id)); err != nil {
		return fmt.Errorf("clear spool: %w", err)
	}
	return nil
}

// Upload makes a folder for so many bytes that somebody sends.
func (s *Spool) Upload(bytes int64) (folder string, err error) {
	if err := s.Require(bytes); err != nil {
		return "", err
	}
	return os.MkdirTemp(s.cfg.Dir, "upload-*")
}

// Require makes sure that so many bytes more can be written.
func (s *Spool) Require(need int64) error {
	have, err := s.Room()
	if err != nil {
		return err
	}
	if have < need {
		return fmt.Errorf("%w: %s has %d MiB free, the image needs %d MiB more", ErrOutOfSpace, s.cfg.Dir, max(have, 0)>>20, (need+1<<20-1)>>20)
	}
	return nil
}

// Room is how many bytes may be written to the spool.
func (s *Spool) Room() (int64, error) {
	have, err := s.cfg.Free(s.cfg.Dir)
	if err != nil {
		return 0, fmt.Errorf("ask for the space of the spool: %w", err)
	}
	return have - spareBytes, nil
}

func free(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // an int32 on some machines.
}

// Full turns the error of a write to a full disk into ErrOutOfSpace.
func Full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrOutOfSpace, err)
	}
	return err
}
