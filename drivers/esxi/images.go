package esxi

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Images implements drivers.ImageStore: the folders that have a manifest.
func (d *Driver) Images(ctx context.Context) ([]fleet.Image, error) {
	var images []fleet.Image
	err := d.do(ctx, "list images", func(ctx context.Context, s *session) error {
		ids, err := s.imageFolders(ctx)
		if err != nil {
			return err
		}
		images = make([]fleet.Image, 0, len(ids))
		for _, id := range ids {
			im, held, err := s.manifest(ctx, id)
			if err != nil {
				return err
			}
			if held {
				images = append(images, im)
			}
		}
		return nil
	})
	slices.SortFunc(images, func(a, b fleet.Image) int { return strings.Compare(a.ID, b.ID) })
	return images, err
}

// imageFolders lists the images that have a folder.
func (s *session) imageFolders(ctx context.Context) ([]string, error) {
	names, err := s.foldersIn(ctx, imagesFolder)
	return slices.DeleteFunc(names, func(name string) bool { return !fleet.IsImageID(name) }), err
}

// heldImage is an image that the host has, or ErrNotFound.
func (s *session) heldImage(ctx context.Context, id string) (fleet.Image, error) {
	im, held, err := s.manifest(ctx, id)
	if err == nil && !held {
		err = fmt.Errorf("image %.12s: %w", id, drivers.ErrNotFound)
	}
	return im, err
}

// manifest reads the manifest of an image; held is false when there is none,
// or none that is whole.
func (s *session) manifest(ctx context.Context, id string) (im fleet.Image, held bool, err error) {
	if !fleet.IsImageID(id) {
		return im, false, nil
	}
	text, found, err := s.read(ctx, imageFolder(id)+"/"+manifestFile)
	if err != nil || !found {
		return im, false, err
	}
	if json.Unmarshal(text, &im) != nil || im.ID != id {
		return fleet.Image{}, false, nil // a manifest cut short: the image is imported again
	}
	return im, true, nil
}

// ImportImage implements drivers.ImageStore. It takes images of one VMDK disk
// that is one sparse file, monolithicSparse or streamOptimized: a host by
// itself converts nothing else. The disk is uploaded, verified on the way, and
// copied into the host's own form; what was uploaded stays, for other hosts to
// fetch. The manifest comes last.
func (d *Driver) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	return d.do(ctx, fmt.Sprintf("import image %.12s", im.ID), func(ctx context.Context, s *session) error {
		unlock, err := d.imports.Take(ctx, im.ID)
		if err != nil {
			return err
		}
		defer unlock()
		_, held, err := s.manifest(ctx, im.ID)
		if held || err != nil {
			return err
		}
		if err := importable(im); err != nil {
			return err
		}
		folder := imageFolder(im.ID)
		if err := s.removeFolder(ctx, folder); err != nil {
			return err
		}
		if err := s.store(ctx, im, folder, content); err != nil {
			undoing, cancel := steady(ctx)
			defer cancel()
			return errors.Join(err, s.removeFolder(undoing, folder))
		}
		return nil
	})
}

// importable says why the host cannot take the image.
func importable(im fleet.Image) error {
	if err := im.Validate(); err != nil {
		return fmt.Errorf("%w: %w", drivers.ErrBadImage, err)
	}
	if _, iso := im.File(fleet.RoleISO); iso {
		return nil
	}
	disk, ok := im.StoredFile(fleet.RoleDisk)
	if !ok || len(im.Files) != 1 {
		return fmt.Errorf("%w: ESXi boots a disk or an ISO and no kernel; import an image of one disk", drivers.ErrUnsupported)
	}
	if disk.Format != "vmdk" {
		return fmt.Errorf("%w: an ESXi host converts no %s disks; convert it before: qemu-img convert -O vmdk -o subformat=streamOptimized",
			drivers.ErrUnsupported, disk.Format)
	}
	return nil
}

func (s *session) store(ctx context.Context, im fleet.Image, folder string, content io.Reader) error {
	if err := s.makeFolder(ctx, folder); err != nil {
		return err
	}
	err := drivers.EachFile(im, content, func(f fleet.ImageFile, r io.Reader) error {
		if f.Role == fleet.RoleISO {
			return s.upload(ctx, folder+"/"+isoFile, r, f.Bytes)
		}
		return s.storeDisk(ctx, folder, f, r)
	})
	if err != nil {
		return err
	}
	im.Hosts = nil
	text, err := json.Marshal(im)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	return s.upload(ctx, folder+"/"+manifestFile, bytes.NewReader(text), int64(len(text)))
}

// storeDisk uploads a disk and lets the host make its own form of it.
func (s *session) storeDisk(ctx context.Context, folder string, f fleet.ImageFile, r io.Reader) error {
	r, err := sparse(f, r)
	if err != nil {
		return err
	}
	if err := s.upload(ctx, folder+"/"+uploadFile, r, f.Bytes); err != nil {
		return err
	}
	if err := s.copyDisk(ctx, folder+"/"+uploadFile, folder+"/"+diskFile); err != nil {
		return fmt.Errorf("convert disk: %w", err)
	}
	return nil
}

// sparse makes sure that the disk is one sparse VMDK of the size that the
// manifest says: its header begins with KDMV, and 12 bytes on has the capacity
// in sectors.
func sparse(f fleet.ImageFile, r io.Reader) (io.Reader, error) {
	header := make([]byte, min(20, f.Bytes))
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if len(header) < 20 || string(header[:4]) != "KDMV" {
		return nil, drivers.Unfit("the VMDK is not one sparse file; convert it before: qemu-img convert -O vmdk -o subformat=streamOptimized")
	}
	if size := int64(binary.LittleEndian.Uint64(header[12:])) * 512; size != f.VirtualBytes {
		return nil, fmt.Errorf("%w: the disk is %d bytes large, the manifest says %d", drivers.ErrBadImage, size, f.VirtualBytes)
	}
	return io.MultiReader(bytes.NewReader(header), r), nil
}

// RemoveImage implements drivers.ImageStore.
func (d *Driver) RemoveImage(ctx context.Context, id string) error {
	return d.do(ctx, fmt.Sprintf("remove image %.12s", id), func(ctx context.Context, s *session) error {
		if !fleet.IsImageID(id) {
			return nil // not there, and no name of a folder
		}
		unlock, err := d.imports.Take(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		if err := s.removeFile(ctx, imageFolder(id)+"/"+manifestFile); err != nil {
			return err
		}
		return s.removeFolder(ctx, imageFolder(id))
	})
}
