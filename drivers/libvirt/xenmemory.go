package libvirt

import (
	"context"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
	"grapevine/internal/pause"
)

const (
	// reserveStep is what Xen's own memory is rounded up to: each guest takes
	// some hundred KiB beside its own, and the host is not another one for it.
	reserveStep = 64 << 10 // KiB
	// memoryLooks is how often the memory is looked at until two looks agree;
	// while a guest starts or ends, its memory is neither free nor a guest's.
	memoryLooks = 5
	memoryPause = 200 * time.Millisecond
)

// grantableMemory is what the machine has, and what of it Xen would not give to
// a guest: Domain-0's and the hypervisor's own. What dom0's kernel thinks of
// memory is only about dom0.
func grantableMemory(ctx context.Context, d *Driver) (total, reserved uint64, err error) {
	for look := range memoryLooks {
		var held uint64
		if total, held, err = d.heldMemory(ctx); err != nil {
			return 0, 0, err
		}
		held = (held + reserveStep - 1) / reserveStep * reserveStep
		if look > 0 && held >= reserved {
			break
		}
		reserved = held // the least so far
		if !pause.For(ctx, memoryPause) {
			return 0, 0, ctx.Err()
		}
	}
	return total, min(reserved, total), nil
}

// heldMemory is the KiB of memory that the machine has, and those of them that
// are neither free nor a guest's.
func (d *Driver) heldMemory(ctx context.Context) (total, held uint64, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		if _, total, _, _, _, _, _, _, err = rpc.NodeGetInfo(); err != nil {
			return err
		}
		domains, _, err := rpc.ConnectListAllDomains(1, golibvirt.ConnectListDomainsActive)
		if err != nil {
			return err
		}
		var used uint64
		for _, dom := range domains {
			if isHost(dom) {
				continue
			}
			_, _, now, _, _, err := rpc.DomainGetInfo(dom)
			if err != nil && !session.IsCode(err, golibvirt.ErrNoDomain) {
				return err
			}
			used += now
		}
		free, err := rpc.NodeGetFreeMemory()
		if taken := used + free>>10; taken < total {
			held = total - taken
		}
		return err
	})
	return total, held, err
}
