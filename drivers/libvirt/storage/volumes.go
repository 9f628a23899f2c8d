package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/internal/pause"
)

// Raw describes a volume that is reserved whole, so that a full pool is
// noticed before its content is sent.
func Raw(name string, bytes int64) *libvirtxml.StorageVolume {
	size := &libvirtxml.StorageVolumeSize{Value: uint64(bytes)}
	return &libvirtxml.StorageVolume{
		Name: name, Capacity: size, Allocation: size,
		Target: &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "raw"}},
	}
}

// Plain describes a raw file that takes no more room than what is in it.
func Plain(name string, bytes int64) *libvirtxml.StorageVolume {
	vol := Raw(name, bytes)
	vol.Allocation = &libvirtxml.StorageVolumeSize{}
	return vol
}

// Disk describes a qcow2 disk, over the image at backing where that is
// not empty.
func Disk(name string, gib int64, backing, format string) *libvirtxml.StorageVolume {
	vol := &libvirtxml.StorageVolume{
		Name:       name,
		Capacity:   &libvirtxml.StorageVolumeSize{Value: uint64(gib) << 30},
		Allocation: &libvirtxml.StorageVolumeSize{},
		Target: &libvirtxml.StorageVolumeTarget{
			Format: &libvirtxml.StorageVolumeTargetFormat{Type: "qcow2"}, Compat: "1.1",
		},
	}
	if backing != "" {
		vol.BackingStore = &libvirtxml.StorageVolumeBackingStore{
			Path: backing, Format: &libvirtxml.StorageVolumeTargetFormat{Type: format},
		}
	}
	return vol
}

// Block describes a volume that is a block device, with all of its room from the
// start.
func Block(name string, gib int64) *libvirtxml.StorageVolume {
	size := &libvirtxml.StorageVolumeSize{Value: uint64(gib) << 30}
	return &libvirtxml.StorageVolume{Name: name, Capacity: size, Allocation: size}
}

// Volume returns the volume with this name, or ErrNotFound.
func (p *Pool) Volume(ctx context.Context, name string) (vol golibvirt.StorageVol, err error) {
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err = rpc.StorageVolLookupByName(p.libvirt, name)
		return err
	})
	return vol, err
}

// Sized returns the volume with this name and its size in bytes.
func (p *Pool) Sized(ctx context.Context, name string) (vol golibvirt.StorageVol, bytes int64, err error) {
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		if vol, err = rpc.StorageVolLookupByName(p.libvirt, name); err != nil {
			return err
		}
		_, capacity, _, err := rpc.StorageVolGetInfo(vol)
		bytes = int64(capacity)
		return err
	})
	return vol, bytes, err
}

// Path returns where the volume with this name is on the host.
func (p *Pool) Path(ctx context.Context, name string) (path string, err error) {
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err := rpc.StorageVolLookupByName(p.libvirt, name)
		if err != nil {
			return err
		}
		path, err = rpc.StorageVolGetPath(vol)
		return err
	})
	return path, err
}

// PathOf returns where a volume is on the host. Of a file it is the key, too.
func (p *Pool) PathOf(ctx context.Context, vol golibvirt.StorageVol) (path string, err error) {
	if !p.Blocks() {
		return vol.Key, nil
	}
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		path, err = rpc.StorageVolGetPath(vol)
		return err
	})
	return path, err
}

// Create makes the volume; it does not leave off half way.
func (p *Pool) Create(ctx context.Context, v *libvirtxml.StorageVolume) (vol golibvirt.StorageVol, err error) {
	text, err := v.Marshal()
	if err != nil {
		return vol, fmt.Errorf("write volume XML: %w", err)
	}
	err = p.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err = rpc.StorageVolCreateXML(p.libvirt, text, 0)
		return err
	})
	if err != nil {
		return vol, fmt.Errorf("create volume %s: %w", v.Name, err)
	}
	return vol, nil
}

// Delete deletes those of the volumes that are there.
func (p *Pool) Delete(ctx context.Context, names ...string) error {
	var errs []error
	for _, name := range names {
		if err := p.delete(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("delete volume %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// busyLimit is how long a volume may be held by what has just ended: an upload
// that was broken off, whose file libvirt still closes.
const busyLimit = 5 * time.Second

func (p *Pool) delete(ctx context.Context, name string) error {
	return remove(ctx, p.session, func(rpc *golibvirt.Libvirt) (golibvirt.StorageVol, error) {
		return rpc.StorageVolLookupByName(p.libvirt, name)
	})
}

// DeleteAt deletes the volume of any pool that lies at this path, where there is
// one.
func (s *Storage) DeleteAt(ctx context.Context, path string) error {
	err := remove(ctx, s.session, func(rpc *golibvirt.Libvirt) (golibvirt.StorageVol, error) {
		return rpc.StorageVolLookupByPath(path)
	})
	if err != nil {
		return fmt.Errorf("delete volume %s: %w", path, err)
	}
	return nil
}

func remove(ctx context.Context, s *session.Session, find func(*golibvirt.Libvirt) (golibvirt.StorageVol, error)) error {
	busy, cancel := context.WithTimeout(ctx, busyLimit)
	defer cancel()
	for {
		err := s.Call(ctx, func(rpc *golibvirt.Libvirt) error {
			vol, err := find(rpc)
			if err != nil {
				return err
			}
			return rpc.StorageVolDelete(vol, 0)
		})
		if err == nil || errors.Is(err, drivers.ErrNotFound) {
			return nil
		}
		if !session.IsCode(err, golibvirt.ErrOperationInvalid) {
			return err
		}
		if !pause.For(busy, 50*time.Millisecond) {
			return err
		}
	}
}

// undoLimit bounds cleaning up after a build or an import that failed.
const undoLimit = 30 * time.Second

// Undo deletes the volumes of something that failed with this error, also when
// ctx has ended and libvirt is still at a copy, and returns the error.
func (p *Pool) Undo(ctx context.Context, failed error, names ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	if err := p.Clear(ctx, names...); err != nil {
		return errors.Join(failed, fmt.Errorf("clean up: %w", err))
	}
	return failed
}

// Names lists the names of all volumes in the pool.
func (p *Pool) Names(ctx context.Context) ([]string, error) {
	var volumes []golibvirt.StorageVol
	err := p.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		volumes, _, err = rpc.StoragePoolListAllVolumes(p.libvirt, 1, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list volumes of pool %q: %w", p.libvirt.Name, err)
	}
	names := make([]string, len(volumes))
	for i, vol := range volumes {
		names[i] = vol.Name
	}
	return names, nil
}

// Refresh lets libvirt look for files that others have made in the pool. It
// may be refused while a transfer is under way; then what is known is known.
func (p *Pool) Refresh(ctx context.Context) error {
	err := p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.StoragePoolRefresh(p.libvirt, 0) })
	if session.Unanswered(err) {
		return err
	}
	return nil
}
