package libvirt

import (
	"context"
	"sync"

	golibvirt "github.com/digitalocean/go-libvirt"
	"golang.org/x/sync/errgroup"

	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// xenUsage asks for one machine after the other: libxl has no call for all, and
// counts nothing of disks.
func xenUsage(ctx context.Context, d *Driver) (map[fleet.InstanceID]fleet.Usage, error) {
	var domains []golibvirt.Domain
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		domains, _, err = rpc.ConnectListAllDomains(1, golibvirt.ConnectListDomainsActive)
		return err
	})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	all := map[fleet.InstanceID]fleet.Usage{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, dom := range domains {
		if isHost(dom) {
			continue
		}
		group.Go(func() error {
			used, err := d.xenUsageOf(ctx, dom)
			if session.IsCode(err, golibvirt.ErrNoDomain) || session.IsCode(err, golibvirt.ErrOperationInvalid) {
				return nil // it is off since
			}
			mu.Lock()
			defer mu.Unlock()
			all[fleet.InstanceID(dom.UUID)] = used
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return all, nil
}

func (d *Driver) xenUsageOf(ctx context.Context, dom golibvirt.Domain) (used fleet.Usage, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		used = fleet.Usage{}
		_, _, memory, _, cpu, err := rpc.DomainGetInfo(dom)
		if err != nil {
			return err
		}
		used.CPUSeconds, used.MemoryBytes = new(float64(cpu)/1e9), new(int64(memory)<<10) // told in ns and KiB
		text, err := rpc.DomainGetXMLDesc(dom, 0)
		if err != nil {
			return err
		}
		seen, err := parseDomain(text)
		if err != nil {
			return err
		}
		for _, card := range seen.Interfaces {
			if card.Target.Dev == "" {
				continue // libvirt does not know what one is called that came while the machine ran
			}
			received, _, _, _, sent, _, _, _, err := rpc.DomainInterfaceStats(dom, card.Target.Dev)
			if err != nil {
				return err
			}
			used.NetworkReceivedBytes, used.NetworkSentBytes = plus(used.NetworkReceivedBytes, received), plus(used.NetworkSentBytes, sent)
		}
		return nil
	})
	return used, err
}
