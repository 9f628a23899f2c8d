package storage

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
)

// Folder returns a pool over a folder of the host that others write to, or
// ErrNotFound where there is no such folder. Where libvirt has none for it, one
// of this name is there until libvirt ends.
func (s *Storage) Folder(ctx context.Context, name, path string) (*Pool, error) {
	text, err := (&libvirtxml.StoragePool{Type: "dir", Name: name, Target: &libvirtxml.StoragePoolTarget{Path: path}}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("write pool XML: %w", err)
	}
	p := &Pool{session: s.session}
	err = s.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		var err error
		p.libvirt, err = rpc.StoragePoolLookupByTargetPath(path)
		if err == nil {
			return nil
		}
		p.libvirt, err = rpc.StoragePoolCreateXML(text, 0)
		if err != nil {
			if there, again := rpc.StoragePoolLookupByTargetPath(path); again == nil {
				p.libvirt, err = there, nil // another driver was first
			}
		}
		return err
	})
	if session.Unanswered(err) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: open folder %s: %w", drivers.ErrNotFound, path, err)
	}
	return p, nil
}
