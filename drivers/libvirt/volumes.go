package libvirt

import (
	"bytes"
	"context"
	"fmt"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// The volumes of a machine are named after it.
func consoleName(id fleet.InstanceID) string { return "console-" + id.String() + ".log" }
func seedName(id fleet.InstanceID) string    { return seedPrefix + id.String() + ".iso" }

const seedPrefix = "seed-"

// diskVolume names the volume of a machine's disk with this number, from 0.
func diskVolume(id fleet.InstanceID, number int) string {
	if number == 0 {
		return "disk-" + id.String() + ".qcow2"
	}
	return fmt.Sprintf("disk-%s-%d.qcow2", id, number)
}

// readVolume names the copy of a machine's disk that is being read out.
func readVolume(id fleet.InstanceID) string { return "read-" + id.String() + ".qcow2" }

// firstVolumes and seedVolumes are the two names that a machine's first disk,
// and its seed, can have: a rebuild makes the new one beside the old one.
func firstVolumes(id fleet.InstanceID) [2]string {
	return [2]string{diskVolume(id, 0), fmt.Sprintf("disk-%s-0.qcow2", id)}
}

func seedVolumes(id fleet.InstanceID) [2]string {
	return [2]string{seedName(id), seedPrefix + id.String() + "-0.iso"}
}

// machineVolumes are the names of the volumes that a machine with so many
// further disks may have, but for its console log.
func machineVolumes(id fleet.InstanceID, further int) []string {
	seeds, firsts := seedVolumes(id), firstVolumes(id)
	names := append(append(seeds[:], firsts[:]...), readVolume(id), rescueVolume(id))
	for n := range further {
		names = append(names, diskVolume(id, n+1))
	}
	return names
}

// madeDisk is a disk with its number and its path.
type madeDisk struct {
	number int
	path   string
}

// makeDisks makes the machine's disks, the first over that of its image.
func (d *Driver) makeDisks(ctx context.Context, pool *storage.Pool, spec *drivers.Spec) (disks []madeDisk, err error) {
	first, err := d.makeFirstDisk(ctx, pool, diskVolume(spec.Mark.ID, 0), spec)
	if err != nil {
		return nil, err
	}
	if first != "" {
		disks = append(disks, madeDisk{0, first})
	}
	for i, further := range spec.Disks {
		volume := storage.Disk(diskVolume(spec.Mark.ID, i+1), further.SizeGiB, "", "")
		made := pool.Create
		if o := spec.Origin(i + 1); !o.IsZero() {
			made = d.copying(pool, o, spec.Mark.ID)
		}
		vol, err := made(ctx, volume)
		if err != nil {
			return nil, err
		}
		disks = append(disks, madeDisk{i + 1, vol.Key})
	}
	return disks, nil
}

// makeFirstDisk makes it in a volume of this name. It returns no path where the
// machine has no disk.
func (d *Driver) makeFirstDisk(ctx context.Context, pool *storage.Pool, name string, spec *drivers.Spec) (string, error) {
	gib := spec.DiskGiB()
	if gib == 0 {
		return "", nil
	}
	if o := spec.Origin(0); !o.IsZero() {
		vol, err := d.copying(pool, o, spec.Mark.ID)(ctx, storage.Disk(name, gib, "", ""))
		return vol.Key, err
	}
	var backing string
	image, ok := spec.Image.StoredFile(fleet.RoleDisk)
	if ok {
		var err error
		if backing, err = pool.Path(ctx, storage.FileName(spec.Image.ID, fleet.RoleDisk)); err != nil {
			return "", fmt.Errorf("find the image's disk: %w", err)
		}
	}
	vol, err := pool.Create(ctx, storage.Disk(name, gib, backing, image.Format))
	return vol.Key, err
}

// makeSeed makes the volume that cloud-init reads, under this name, and returns
// its path; none where there is nothing to read.
func (d *Driver) makeSeed(ctx context.Context, pool *storage.Pool, name string, spec *drivers.Spec, cards []fleet.NIC) (string, error) {
	if !spec.WantsGuest() {
		return "", nil
	}
	doc := cloudinit.Of(spec, cards)
	seed, err := doc.Seed()
	if err != nil {
		return "", err
	}
	if err := pool.Fill(ctx, name, int64(len(seed)), bytes.NewReader(seed)); err != nil {
		return "", err
	}
	return pool.Path(ctx, name)
}
