package libvirt

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// diskSizes remembers disk sizes between listings: asking QEMU costs a call a
// disk, and waits while the machine is busy starting.
type diskSizes struct {
	mu    sync.Mutex
	known map[golibvirt.UUID]knownSize
}

type knownSize struct {
	disks string // the disks that it is the size of
	gib   int64
	until time.Time // disks grow, seldom
}

const sizeLifetime = time.Minute

func (s *diskSizes) get(id golibvirt.UUID, disks string) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[id]
	return k.gib, ok && k.disks == disks && time.Now().Before(k.until)
}

func (s *diskSizes) put(id golibvirt.UUID, disks string, gib int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[golibvirt.UUID]knownSize)
	}
	s.known[id] = knownSize{disks: disks, gib: gib, until: time.Now().Add(sizeLifetime)}
}

// forget makes the next look ask anew.
func (s *diskSizes) forget(id golibvirt.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, id)
}

// keep forgets all domains but these.
func (s *diskSizes) keep(domains []golibvirt.Domain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) <= len(domains) {
		return
	}
	listed := make(map[golibvirt.UUID]bool, len(domains))
	for _, dom := range domains {
		listed[dom.UUID] = true
	}
	for id := range s.known {
		if !listed[id] {
			delete(s.known, id)
		}
	}
}

// diskGiB is the size of the machine's disks as the guest sees them, each
// rounded up to GiB. A disk that libvirt cannot size counts as nothing.
func (d *Driver) diskGiB(ctx context.Context, dom golibvirt.Domain, seen *seenDomain) (int64, error) {
	var key strings.Builder
	for _, disk := range seen.Disks {
		fmt.Fprintf(&key, "%+v\n", disk)
	}
	if gib, ok := d.sizes.get(dom.UUID, key.String()); ok || key.Len() == 0 {
		return gib, nil
	}
	var sum int64
	for _, disk := range seen.Disks {
		if disk.Device == "cdrom" || disk.Device == "floppy" || disk.isHidden() {
			continue
		}
		bytes, err := d.diskBytes(ctx, dom, disk)
		if session.Unanswered(err) || session.IsCode(err, golibvirt.ErrNoDomain) {
			return 0, err
		}
		sum += fleet.WholeGiB(int64(bytes))
	}
	d.sizes.put(dom.UUID, key.String(), sum)
	return sum, nil
}

func (d *Driver) diskBytes(ctx context.Context, dom golibvirt.Domain, disk seenDisk) (size uint64, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		if path := disk.path(); path != "" {
			// A volume of any pool has its size without asking QEMU.
			if vol, err := rpc.StorageVolLookupByPath(path); err == nil {
				_, size, _, err = rpc.StorageVolGetInfo(vol)
				return err
			}
		}
		var err error
		_, size, _, err = rpc.DomainGetBlockInfo(dom, disk.Target.Dev, 0)
		return err
	})
	return size, err
}
