package esxi

import (
	"context"
	"fmt"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/fleet"
)

var _ drivers.GuestTeller = (*Driver)(nil)

// Guest implements drivers.GuestTeller: it is among the machine's options.
func (d *Driver) Guest(ctx context.Context, id fleet.InstanceID) (guest fleet.Guest, err error) {
	err = d.do(ctx, fmt.Sprintf("read what machine %s is told", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		options, err := s.options(ctx, m.ref)
		if err != nil {
			return err
		}
		guest, err = cloudinit.ReadGuestInfo(options)
		return err
	})
	return guest, err
}
