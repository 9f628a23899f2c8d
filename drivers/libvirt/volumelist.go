package libvirt

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.VolumeLister = (*Driver)(nil)

// machineVolume is the name of any volume that is named after a machine, but for
// its console log, which is kept for a while.
var machineVolume = regexp.MustCompile(`^(?:disk|seed|read|rescue)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[-.]`)

// Volumes implements drivers.VolumeLister. A pool that was never made has none.
func (d *Driver) Volumes(ctx context.Context) ([]drivers.Volume, error) {
	pool, err := d.storage.Find(ctx)
	if errors.Is(err, drivers.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	names, err := pool.Names(ctx)
	if err != nil {
		return nil, err
	}
	var out []drivers.Volume
	for _, name := range names {
		if m := machineVolume.FindStringSubmatch(name); m != nil {
			if id, err := fleet.ParseUUID(m[1]); err == nil {
				out = append(out, drivers.Volume{Machine: id, Name: name})
			}
		}
	}
	return out, nil
}
