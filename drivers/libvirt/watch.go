package libvirt

import (
	"context"
	"fmt"

	"grapevine/drivers"
)

// Watch implements drivers.Driver.
func (d *Driver) Watch(ctx context.Context, changed func(drivers.Event)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := d.session.OpenFeed(ctx)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer f.Close()
	addresses, leave := d.asking.hear()
	defer leave()
	changed(drivers.Event{})
	for {
		select {
		case h := <-f.Events():
			changed(drivers.Event{ID: h.ID})
		case id := <-addresses:
			changed(drivers.Event{ID: id})
		case <-f.Lost():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("watch: %w: the connection was lost", drivers.ErrUnavailable)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
