package storage

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// Dated is a volume whose content others write, as it is now.
type Dated struct {
	Vol  golibvirt.StorageVol
	Size int64 // bytes
	// Written is when its content was last changed, as libvirt writes it. It
	// stays with the content when the file gets another name.
	Written string
}

// Dated returns the volume with this name, or ErrNotFound.
func (p *Pool) Dated(ctx context.Context, name string) (v Dated, err error) {
	var text string
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		if v.Vol, err = rpc.StorageVolLookupByName(p.libvirt, name); err != nil {
			return err
		}
		text, err = rpc.StorageVolGetXMLDesc(v.Vol, 0)
		return err
	})
	if err != nil {
		return v, err
	}
	var described libvirtxml.StorageVolume
	if err := described.Unmarshal(text); err != nil {
		return v, fmt.Errorf("read description of volume %s: %w", name, err)
	}
	if described.Capacity != nil {
		v.Size = int64(described.Capacity.Value)
	}
	if target := described.Target; target != nil && target.Timestamps != nil {
		v.Written = target.Timestamps.Mtime
	}
	return v, nil
}
