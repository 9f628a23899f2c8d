package esxi

import (
	"context"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.VolumeLister = (*Driver)(nil)

// Volumes implements drivers.VolumeLister. All that is made for a machine lies in
// one folder of the datastore, named after its id; of a machine that was adopted
// nothing does.
func (d *Driver) Volumes(ctx context.Context) ([]drivers.Volume, error) {
	var volumes []drivers.Volume
	err := d.do(ctx, "list volumes", func(ctx context.Context, s *session) error {
		names, err := s.foldersIn(ctx, machinesFolder)
		for _, name := range names {
			if id, err := fleet.ParseUUID(name); err == nil {
				volumes = append(volumes, drivers.Volume{Machine: id, Name: s.datastore.Path(machineFolder(id))})
			}
		}
		return err
	})
	return volumes, err
}
