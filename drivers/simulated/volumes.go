package simulated

import (
	"context"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.VolumeLister = (*Driver)(nil)

// Volumes implements drivers.VolumeLister.
func (d *Driver) Volumes(ctx context.Context) ([]drivers.Volume, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	defer done()
	var out []drivers.Volume
	for _, id := range d.h.Disks() {
		out = append(out, drivers.Volume{Machine: id, Name: "disk of " + id.String()})
	}
	return out, nil
}

// LeakDisk leaves a disk behind that belongs to no machine, as a build that
// nobody cleaned up after would.
func (h *Hypervisor) LeakDisk(id fleet.InstanceID, gib int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disks[id] = gib
}
