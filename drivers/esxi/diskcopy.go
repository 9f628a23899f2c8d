package esxi

import (
	"context"
	"errors"
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// furtherFile names the file of a disk that is not a copy of the image's.
func furtherFile(number int) string { return drivers.DiskName(number) + ".vmdk" }

// copyDisks gives the machine its disks that begin as others, each as large as it
// is to be.
func (s *session) copyDisks(ctx context.Context, spec drivers.Spec, folder string) error {
	if _, ok := spec.Image.File(fleet.RoleDisk); ok || !spec.Origin(0).IsZero() {
		from := s.datastore.Path(imageFolder(spec.Image.ID) + "/" + diskFile)
		if o := spec.Origin(0); !o.IsZero() {
			from = o.Disk
		}
		if err := s.copyLarge(ctx, from, folder+"/"+diskFile, diskBytes(spec)); err != nil {
			return err
		}
	}
	for i, further := range spec.Disks {
		if o := spec.Origin(i + 1); !o.IsZero() {
			if err := s.copyLarge(ctx, o.Disk, folder+"/"+furtherFile(i+1), further.SizeGiB<<30); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyLarge copies a disk, and makes the copy so large.
func (s *session) copyLarge(ctx context.Context, from, to string, size int64) error {
	if err := s.copyDiskAt(ctx, from, to); err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	_, have, err := s.extentOf(ctx, to)
	if err != nil || have >= size {
		return err
	}
	if err := s.extendDisk(ctx, to, size); err != nil {
		return fmt.Errorf("extend disk: %w", err)
	}
	return nil
}

// copiedDisk is a device for a disk whose file is there already.
func (s *session) copiedDisk(list object.VirtualDeviceList, scsi types.BaseVirtualController, file string, number int, size int64) *types.VirtualDeviceConfigSpec {
	disk := list.CreateDisk(scsi, s.datastore.Reference(), s.datastore.Path(file))
	disk.UnitNumber = new(unitOf(number))
	disk.CapacityInKB = size >> 10
	return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: disk}
}

// originPaths puts into the origins, as their Disk, where on the host the disks
// lie that are copied. Nothing else is done to their machines until letGo.
func (d *Driver) originPaths(ctx context.Context, s *session, spec *drivers.Spec) (letGo func(), err error) {
	taken := map[fleet.InstanceID]func(){}
	letGo = func() {
		for _, release := range taken {
			release()
		}
	}
	found := make([]drivers.Origin, len(spec.Origins))
	for n := range spec.Origins {
		o := spec.Origin(n)
		if !o.Machine.IsZero() && taken[o.Machine] == nil {
			release, err := d.builds.Take(ctx, o.Machine)
			if err != nil {
				letGo()
				return nil, err
			}
			taken[o.Machine] = release
		}
		found[n] = *o
		if found[n].Disk, err = d.originPath(ctx, s, o); err != nil {
			letGo()
			return nil, err
		}
	}
	spec.Origins = found
	return letGo, nil
}

func (d *Driver) originPath(ctx context.Context, s *session, o *drivers.Origin) (string, error) {
	if o.IsZero() {
		return "", nil
	}
	if o.Machine.IsZero() {
		_, err := s.heldImage(ctx, o.Image.ID)
		return s.datastore.Path(imageFolder(o.Image.ID) + "/" + diskFile), err
	}
	m, err := d.find(ctx, s, o.Machine)
	if err == nil {
		err = drivers.Readable(&m.Machine)
	}
	if err != nil {
		return "", fmt.Errorf("machine %s: %w", o.Machine, err)
	}
	return s.diskPath(ctx, m.ref, o.Disk)
}

// Firmware implements drivers.DiskReader.
func (d *Driver) Firmware(ctx context.Context, id fleet.InstanceID) (firmware fleet.Firmware, err error) {
	err = d.do(ctx, fmt.Sprintf("read firmware of machine %s", id), func(ctx context.Context, s *session) error {
		m, err := d.find(ctx, s, id)
		if err != nil {
			return err
		}
		var vm mo.VirtualMachine
		if err := s.properties().RetrieveOne(ctx, m.ref, []string{"config.firmware"}, &vm); err != nil {
			return err
		}
		if vm.Config == nil {
			return errors.New("the host does not say")
		}
		firmware = ""
		if vm.Config.Firmware == firmwareOf(fleet.UEFI) {
			firmware = fleet.UEFI
		}
		return nil
	})
	return firmware, err
}
