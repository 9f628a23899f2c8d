package libvirt

import (
	"context"
	"fmt"
	"path/filepath"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.GuestTeller = (*Driver)(nil)

// Guest implements drivers.GuestTeller: it reads the machine's seed.
func (d *Driver) Guest(ctx context.Context, id fleet.InstanceID) (fleet.Guest, error) {
	guest, err := d.guest(ctx, id)
	if err != nil {
		return fleet.Guest{}, fmt.Errorf("read what machine %s is told: %w", id, err)
	}
	return guest, nil
}

func (d *Driver) guest(ctx context.Context, id fleet.InstanceID) (fleet.Guest, error) {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return fleet.Guest{}, err
	}
	def, err := d.definition(ctx, dom)
	if err != nil {
		return fleet.Guest{}, err
	}
	seed := fileOf(def.seed())
	if seed == "" {
		return fleet.Guest{}, nil
	}
	pool, err := d.storage.Pool(ctx)
	if err != nil {
		return fleet.Guest{}, err
	}
	return d.readSeed(ctx, pool, filepath.Base(seed))
}
