package esxi

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/mo"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Describe implements drivers.Driver.
func (d *Driver) Describe(ctx context.Context) (drivers.Description, error) {
	var desc drivers.Description
	err := d.do(ctx, "describe host", func(ctx context.Context, s *session) (err error) {
		desc, err = s.describe(ctx)
		return err
	})
	return desc, err
}

func (s *session) describe(ctx context.Context) (drivers.Description, error) {
	var host mo.HostSystem
	if err := s.properties().RetrieveOne(ctx, s.host.Reference(), []string{"summary.hardware", pathMaintenance, pathBootTime}, &host); err != nil {
		return drivers.Description{}, fmt.Errorf("read hardware: %w", err)
	}
	var store mo.Datastore
	if err := s.properties().RetrieveOne(ctx, s.datastore.Reference(), []string{"summary"}, &store); err != nil {
		return drivers.Description{}, fmt.Errorf("read datastore: %w", err)
	}
	networks, err := s.networks(ctx)
	if err != nil {
		return drivers.Description{}, err
	}
	hw := host.Summary.Hardware
	if hw == nil {
		return drivers.Description{}, fmt.Errorf("%w: the host does not say what hardware it has", drivers.ErrUnavailable)
	}
	return drivers.Description{
		Hypervisor: fleet.ESXi,
		Version:    s.client.ServiceContent.About.FullName,
		Total: fleet.Resources{
			VCPUs:     int64(hw.NumCpuThreads),
			MemoryMiB: hw.MemorySize >> 20,
			DiskGiB:   store.Summary.Capacity >> 30,
		},
		Hardware: hw.Uuid,
		HostID:   hostID(hw.Uuid),
		Features: features,
		Disks:    []string{fleet.FormatVMDK},
		Networks: networks,

		Maintenance: host.Runtime.InMaintenanceMode,
		StorageFull: store.Summary.FreeSpace < drivers.FullBelow,
		Boot:        bootOf(host.Runtime.BootTime),
	}, nil
}

// pathBootTime says when the host was booted.
const pathBootTime = "runtime.bootTime"

// bootOf names a boot by its minute: what the host says of the second may change
// with its clock.
func bootOf(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Round(time.Minute).Format(time.RFC3339)
}

// pathMaintenance says whether the host is in maintenance mode.
const pathMaintenance = "runtime.inMaintenanceMode"

// usable says why no machine can be made or started on the host now.
func (s *session) usable(ctx context.Context) error {
	var host mo.HostSystem
	if err := s.properties().RetrieveOne(ctx, s.host.Reference(), []string{pathMaintenance}, &host); err != nil {
		return fmt.Errorf("read the host's state: %w", err)
	}
	if host.Runtime.InMaintenanceMode {
		return drivers.ErrMaintenance
	}
	return nil
}

// features: ESXi has no pause; suspend, which it has, writes the memory to
// disk. It boots disks only.
var features = []drivers.Feature{
	drivers.FeatureBootDisk, drivers.FeatureBootISO, drivers.FeatureCloudInit, drivers.FeatureConsoleLog, drivers.FeatureCopyDisks,
	drivers.FeatureDevices, drivers.FeatureGrowRunning, drivers.FeatureImageSource, drivers.FeatureReadDisks, drivers.FeatureRebuild,
	drivers.FeatureRescue, drivers.FeatureResize, drivers.FeatureResizeLive, drivers.FeatureSnapshot, drivers.FeatureUEFI, drivers.FeatureUsage, drivers.FeatureVNC,
}

// hardwareSpace is the name space for hardware whose own UUID is none.
var hardwareSpace = fleet.UUID{0x1d, 0x0b, 0x5a, 0x62, 0x94, 0x3c, 0x4f, 0x88, 0xb1, 0x0e, 0x65, 0x73, 0x78, 0x69, 0x68, 0x77}

// hostID is the hardware's UUID where it is one, and else derived from
// whatever the firmware says in its place.
func hostID(uuid string) fleet.HostID {
	id, err := fleet.ParseUUID(uuid)
	if err != nil || id.IsZero() {
		return fleet.NewUUIDv5(hardwareSpace, uuid)
	}
	return id
}
