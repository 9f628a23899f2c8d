package storage

import (
	"context"
	"fmt"
	"io"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers/libvirt/session"
	"grapevine/internal/pause"
)

// Send makes the volume and writes to its begin the bytes that a raw file of
// another pool holds. It is for pools into which libvirt copies nothing.
func (p *Pool) Send(ctx context.Context, v *libvirtxml.StorageVolume, from golibvirt.StorageVol, bytes int64) (vol golibvirt.StorageVol, err error) {
	if vol, err = p.Create(ctx, v); err != nil {
		return vol, err
	}
	content, err := p.session.Download(ctx, from, 0, bytes)
	if err != nil {
		return vol, fmt.Errorf("read volume %s: %w", from.Name, err)
	}
	defer content.Close()
	if err := p.fillNew(ctx, vol, content, bytes); err != nil {
		return vol, fmt.Errorf("send volume %s to %s: %w", from.Name, v.Name, err)
	}
	return vol, nil
}

// deviceLimit is how long the device of a new volume may take to be there: it is
// udev that makes it, and nobody waits for that.
const deviceLimit = 30 * time.Second

// fillNew is an upload into a volume that was just made.
func (p *Pool) fillNew(ctx context.Context, vol golibvirt.StorageVol, content io.Reader, bytes int64) error {
	waiting, cancel := context.WithTimeout(ctx, deviceLimit)
	defer cancel()
	for {
		seen := &begun{r: content}
		err := p.session.Upload(ctx, vol, seen, bytes)
		if seen.is || !session.IsCode(err, golibvirt.ErrSystemError) || !pause.For(waiting, 50*time.Millisecond) {
			return err
		}
	}
}

// begun notes whether anything was read.
type begun struct {
	r  io.Reader
	is bool
}

func (b *begun) Read(p []byte) (int, error) {
	b.is = true
	return b.r.Read(p)
}
