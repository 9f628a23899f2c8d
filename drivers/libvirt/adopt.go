package libvirt

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
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
	return d.setMark(ctx, dom, golibvirt.OptString{element})
}

// Disown implements drivers.Driver.
func (d *Driver) Disown(ctx context.Context, id fleet.InstanceID) error {
	dom, err := d.lookup(ctx, id)
	if err == nil {
		err = d.setMark(ctx, dom, nil)
	}
	if err != nil && !session.IsCode(err, golibvirt.ErrNoDomainMetadata) {
		return fmt.Errorf("disown machine %s: %w", id, err)
	}
	return nil
}

// setMark writes the element, or removes it where there is none, in what the
// domain is now and in what it will be when it is started again.
func (d *Driver) setMark(ctx context.Context, dom golibvirt.Domain, element golibvirt.OptString) error {
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
		return rpc.DomainSetMetadata(dom, int32(golibvirt.DomainMetadataElement), element,
			golibvirt.OptString{markPrefix}, golibvirt.OptString{markSpace}, where)
	})
}
