package libvirt

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Adopt implements drivers.Driver. A transient machine, which libvirt forgets
// when it stops, keeps its Mark only until then.
func (d *Driver) Adopt(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	if err := d.adopt(ctx, id, mark); err != nil {
		return fmt.Errorf("adopt machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) adopt(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	if mark.ID != id {
		return fmt.Errorf("the mark is that of %s", mark.ID)
	}
	element, err := encodeMark(mark)
	if err != nil {
		return err
	}
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return err
	}
	return d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		var where golibvirt.DomainModificationImpact
		persistent, err := rpc.DomainIsPersistent(dom)
		if err != nil {
			return err
		}
		active, err := rpc.DomainIsActive(dom)
		if err != nil {
			return err
		}
		if persistent == 1 {
			where |= golibvirt.DomainAffectConfig
		}
		if active == 1 {
			where |= golibvirt.DomainAffectLive
		}
		return rpc.DomainSetMetadata(dom, int32(golibvirt.DomainMetadataElement), golibvirt.OptString{element},
			golibvirt.OptString{markPrefix}, golibvirt.OptString{markSpace}, where)
	})
}
