package storage

import (
	"context"
	"fmt"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers/libvirt/session"
	"grapevine/internal/pause"
)

// Copy makes the volume with the content of another one, of this pool or of
// another, and of all that it lies upon; it has room for no less than that.
// Libvirt runs qemu-img for it. Where ctx ends it before, libvirt may still be
// at it: see Clear.
func (p *Pool) Copy(ctx context.Context, v *libvirtxml.StorageVolume, from golibvirt.StorageVol) (vol golibvirt.StorageVol, err error) {
	text, err := v.Marshal()
	if err != nil {
		return vol, fmt.Errorf("write volume XML: %w", err)
	}
	err = p.session.Work(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err = rpc.StorageVolCreateXMLFrom(p.libvirt, text, from, 0)
		return err
	})
	if err != nil {
		return vol, fmt.Errorf("copy volume %s to %s: %w", from.Name, v.Name, err)
	}
	return vol, nil
}

// At returns the volume of any pool that lies at this path, or ErrNotFound.
func (s *Storage) At(ctx context.Context, path string) (vol golibvirt.StorageVol, err error) {
	err = s.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		vol, err = rpc.StorageVolLookupByPath(path)
		return err
	})
	return vol, err
}

// clearAgain is how often Clear looks whether libvirt has let go of a volume.
const clearAgain = time.Second

// Clear is Delete that waits, as long as ctx allows, for libvirt to end a copy
// that nobody waits for any more.
func (p *Pool) Clear(ctx context.Context, names ...string) error {
	for {
		err := p.Delete(ctx, names...)
		if err == nil || !session.IsCode(err, golibvirt.ErrOperationInvalid) {
			return err
		}
		if !pause.For(ctx, clearAgain) {
			return err
		}
	}
}

// FileBytes is how long the volume's file is.
func (p *Pool) FileBytes(ctx context.Context, vol golibvirt.StorageVol) (bytes int64, err error) {
	err = p.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		_, _, physical, err := rpc.StorageVolGetInfoFlags(vol, uint32(golibvirt.StorageVolGetPhysical))
		bytes = int64(physical)
		return err
	})
	return bytes, err
}
