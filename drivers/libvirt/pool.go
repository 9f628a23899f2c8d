package libvirt

import (
	"context"
	"errors"
	"fmt"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
)

// ensurePool returns the storage pool, defined and started when it was not.
func (d *Driver) ensurePool(ctx context.Context) (pool golibvirt.StoragePool, err error) {
	err = d.session.call(ctx, func(rpc *golibvirt.Libvirt) error {
		pool, err = rpc.StoragePoolLookupByName(d.config.Pool)
		if isCode(err, golibvirt.ErrNoStoragePool) {
			pool, err = d.definePool(rpc)
		}
		if err != nil {
			return err
		}
		active, err := rpc.StoragePoolIsActive(pool)
		if err != nil || active == 1 {
			return err
		}
		if err := rpc.StoragePoolCreate(pool, golibvirt.StoragePoolCreateWithBuild); err != nil {
			if again, err := rpc.StoragePoolIsActive(pool); err == nil && again == 1 {
				return nil // another driver was first
			}
			return err
		}
		return nil
	})
	if err != nil {
		return pool, fmt.Errorf("start storage pool %q: %w", d.config.Pool, err)
	}
	return pool, nil
}

func (d *Driver) definePool(rpc *golibvirt.Libvirt) (golibvirt.StoragePool, error) {
	text, err := (&libvirtxml.StoragePool{
		Type:   "dir",
		Name:   d.config.Pool,
		Target: &libvirtxml.StoragePoolTarget{Path: d.config.PoolPath},
	}).Marshal()
	if err != nil {
		return golibvirt.StoragePool{}, err
	}
	pool, err := rpc.StoragePoolDefineXML(text, 0)
	if err != nil {
		if there, lookup := rpc.StoragePoolLookupByName(d.config.Pool); lookup == nil {
			return there, nil // another driver was first
		}
		return pool, err
	}
	d.log.Info("storage pool made", "pool", d.config.Pool, "path", d.config.PoolPath)
	return pool, rpc.StoragePoolSetAutostart(pool, 1)
}

// findPool returns the pool, or ErrNotFound when it was never made.
func (d *Driver) findPool(ctx context.Context) (pool golibvirt.StoragePool, err error) {
	err = d.session.call(ctx, func(rpc *golibvirt.Libvirt) error {
		pool, err = rpc.StoragePoolLookupByName(d.config.Pool)
		return err
	})
	if isCode(err, golibvirt.ErrNoStoragePool) {
		err = fmt.Errorf("%w: %w", drivers.ErrNotFound, err)
	}
	return pool, err
}

// volume returns the volume with this name, or ErrNotFound.
func (d *Driver) volume(ctx context.Context, pool golibvirt.StoragePool, name string) (vol golibvirt.StorageVol, err error) {
	err = d.session.call(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err = rpc.StorageVolLookupByName(pool, name)
		return err
	})
	return vol, err
}

// path returns where the volume with this name is on the host.
func (d *Driver) path(ctx context.Context, pool golibvirt.StoragePool, name string) (path string, err error) {
	err = d.session.call(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err := rpc.StorageVolLookupByName(pool, name)
		if err != nil {
			return err
		}
		path, err = rpc.StorageVolGetPath(vol)
		return err
	})
	return path, err
}

// rawVolume describes a volume that is reserved whole, so that a full pool is
// noticed before its content is sent.
func rawVolume(name string, bytes int64) *libvirtxml.StorageVolume {
	size := &libvirtxml.StorageVolumeSize{Value: uint64(bytes)}
	return &libvirtxml.StorageVolume{
		Name: name, Capacity: size, Allocation: size,
		Target: &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "raw"}},
	}
}

// diskVolume describes a qcow2 disk, over the image at backing where that is
// not empty.
func diskVolume(name string, gib int64, backing, format string) *libvirtxml.StorageVolume {
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

// createVolume makes the volume; it does not leave off half way.
func (d *Driver) createVolume(ctx context.Context, pool golibvirt.StoragePool, v *libvirtxml.StorageVolume) (vol golibvirt.StorageVol, err error) {
	text, err := v.Marshal()
	if err != nil {
		return vol, fmt.Errorf("write volume XML: %w", err)
	}
	err = d.session.settle(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err = rpc.StorageVolCreateXML(pool, text, 0)
		return err
	})
	if err != nil {
		return vol, fmt.Errorf("create volume %s: %w", v.Name, err)
	}
	return vol, nil
}

// deleteVolumes deletes those of the volumes that are there.
func (d *Driver) deleteVolumes(ctx context.Context, pool golibvirt.StoragePool, names ...string) error {
	var errs []error
	for _, name := range names {
		if err := d.deleteVolume(ctx, pool, name); err != nil {
			errs = append(errs, fmt.Errorf("delete volume %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// busyLimit is how long a volume may be held by what has just ended: an upload
// that was broken off, whose file libvirt still closes.
const busyLimit = 5 * time.Second

func (d *Driver) deleteVolume(ctx context.Context, pool golibvirt.StoragePool, name string) error {
	ctx, cancel := context.WithTimeout(ctx, busyLimit)
	defer cancel()
	for {
		err := d.session.call(ctx, func(rpc *golibvirt.Libvirt) error {
			vol, err := rpc.StorageVolLookupByName(pool, name)
			if err != nil {
				return err
			}
			return rpc.StorageVolDelete(vol, 0)
		})
		if err == nil || errors.Is(err, drivers.ErrNotFound) {
			return nil
		}
		if !isCode(err, golibvirt.ErrOperationInvalid) {
			return err
		}
		timer := time.NewTimer(50 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// volumeNames lists the names of all volumes in the pool.
func (d *Driver) volumeNames(ctx context.Context, pool golibvirt.StoragePool) ([]string, error) {
	var volumes []golibvirt.StorageVol
	err := d.session.call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		volumes, _, err = rpc.StoragePoolListAllVolumes(pool, 1, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list volumes of pool %q: %w", pool.Name, err)
	}
	names := make([]string, len(volumes))
	for i, vol := range volumes {
		names[i] = vol.Name
	}
	return names, nil
}

// refresh lets libvirt look for files that others have made in the pool. It
// may be refused while a transfer is under way; then what is known is known.
func (d *Driver) refresh(ctx context.Context, pool golibvirt.StoragePool) error {
	err := d.session.call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.StoragePoolRefresh(pool, 0) })
	if unanswered(err) {
		return err
	}
	return nil
}
