package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"grapevine/fleet"
)

// store writes machines, disks and images through to a folder, one small JSON
// file each and the content of images beside, by renaming over the old one: a process that dies at any moment
// leaves every file whole. It does not sync: surviving a power cut is not
// promised. A nil store keeps nothing.
type store struct{ dir string }

// The folders inside dir.
const (
	machinesDir = "machines"
	disksDir    = "disks"
	imagesDir   = "images"
	contentsDir = "contents" // by digest, as they are
)

func (s *store) path(kind, name string) string { return filepath.Join(s.dir, kind, name+".json") }

// save writes one file.
func (s *store) save(kind, name string, v any) error {
	if s == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	path := s.path(kind, name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}

// remove removes one file; one that is not there is no error.
func (s *store) remove(kind, name string) error {
	if s == nil {
		return nil
	}
	if err := os.Remove(s.path(kind, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// load makes the folders where they are missing and reads all files into h,
// which nobody else has yet.
func (s *store) load(h *Hypervisor) error {
	for _, kind := range []string{machinesDir, disksDir, imagesDir, contentsDir} {
		if err := os.MkdirAll(filepath.Join(s.dir, kind), 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	return errors.Join(
		s.loadBoot(h),
		each(s, machinesDir, func(m machine) { h.machines[m.ID] = &m }),
		each(s, disksDir, func(d disk) { h.disks[d.ID] = d.GiB }),
		each(s, imagesDir, func(im fleet.Image) { h.images[im.ID] = im }),
	)
}

// disk is a disk's file.
type disk struct {
	ID  fleet.InstanceID `json:"id"`
	GiB int64            `json:"gib"`
}

func each[T any](s *store, kind string, take func(T)) error {
	paths, err := filepath.Glob(filepath.Join(s.dir, kind, "*.json"))
	if err != nil {
		return fmt.Errorf("list %s: %w", kind, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("decode %s: %w", path, err)
		}
		take(v)
	}
	return nil
}
