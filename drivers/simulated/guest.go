package simulated

import (
	"context"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.GuestTeller = (*Driver)(nil)

// Guest implements drivers.GuestTeller.
func (d *Driver) Guest(ctx context.Context, id fleet.InstanceID) (fleet.Guest, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return fleet.Guest{}, fmt.Errorf("read what machine %s is told: %w", id, err)
	}
	defer done()
	m, err := d.h.managed(id)
	if err != nil {
		return fleet.Guest{}, fmt.Errorf("read what machine %s is told: %w", id, err)
	}
	return m.Guest, nil
}
