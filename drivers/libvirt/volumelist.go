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
// its console log, which is kept for a while. A block device's ends with the id.
var machineVolume = regexp.MustCompile(`^(?:disk|seed|read|rescue)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:[-.]|$)`)

// Volumes implements drivers.VolumeLister. A pool of files that was never made
// has none.
func (d *Driver) Volumes(ctx context.Context) ([]drivers.Volume, error) {
	names, err := d.volumeNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
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

// volumeNames are the names of all volumes where machines' may be.
func (d *Driver) volumeNames(ctx context.Context) (names []string, err error) {
	files, err := d.storage.Find(ctx)
	if err == nil {
		names, err = files.Names(ctx)
	} else if errors.Is(err, drivers.ErrNotFound) {
		err = nil
	}
	if err != nil || !d.storage.Apart() {
		return names, err
	}
	disks, err := d.storage.Disks(ctx)
	if err != nil {
		return nil, err
	}
	more, err := disks.Names(ctx)
	return append(names, more...), err
}
