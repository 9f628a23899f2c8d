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

const (
	diskPrefix = "disk-"
	qcow2      = ".qcow2"
)

// fileNames are the two names that the file of a machine's disk with this
// number, from 0, can have; that of a further disk has the first one.
func fileNames(id fleet.InstanceID, number int) [2]string {
	name := diskPrefix + id.String()
	if number > 0 {
		name = fmt.Sprintf("%s-%d", name, number)
	}
	return [2]string{name + qcow2, name + "-0" + qcow2}
}

// readVolume names the copy of a machine's disk that is being read out, and the
// empty file over what a disk is copied from.
func readVolume(id fleet.InstanceID) string { return "read-" + id.String() + qcow2 }

// plainVolume names the raw file that is sent to where a disk is made.
func plainVolume(id fleet.InstanceID) string { return "read-" + id.String() + ".raw" }

// seedVolumes are the two names that a machine's seed can have: a rebuild makes
// the new one beside the old one.
func seedVolumes(id fleet.InstanceID) [2]string {
	return [2]string{seedName(id), seedPrefix + id.String() + "-0.iso"}
}

// machineVolumes are the names of the files that a machine with so many further
// disks may have, but for its console log.
func machineVolumes(id fleet.InstanceID, further int) []string {
	seeds, firsts := seedVolumes(id), fileNames(id, 0)
	names := append(append(seeds[:], firsts[:]...), readVolume(id), plainVolume(id), rescueVolume(id))
	for n := range further {
		names = append(names, fileNames(id, n+1)[0])
	}
	return names
}

// madeDisk is a disk with its number and where it lies.
type madeDisk struct {
	number int
	at     lair
}

// makeDisks makes the machine's disks, the first of that of its image.
func (d *Driver) makeDisks(ctx context.Context, p places, spec *drivers.Spec) (disks []madeDisk, err error) {
	id := spec.Mark.ID
	first, err := d.makeFirstDisk(ctx, p, p.diskNames(id, 0)[0], spec)
	if err != nil {
		return nil, err
	}
	if first.path != "" {
		disks = append(disks, madeDisk{0, first})
	}
	for i, further := range spec.Disks {
		at, err := d.makeDiskOf(ctx, p, id, p.diskNames(id, i+1)[0], further.SizeGiB, spec.Origin(i+1), content{})
		if err != nil {
			return nil, err
		}
		disks = append(disks, madeDisk{i + 1, at})
	}
	return disks, nil
}

// makeFirstDisk makes it in a volume of this name. It returns no path where the
// machine has no disk.
func (d *Driver) makeFirstDisk(ctx context.Context, p places, name string, spec *drivers.Spec) (lair, error) {
	gib := spec.DiskGiB()
	if gib == 0 {
		return lair{}, nil
	}
	begin, err := imageContent(ctx, p.files, &spec.Image)
	if err != nil {
		return lair{}, err
	}
	return d.makeDiskOf(ctx, p, spec.Mark.ID, name, gib, spec.Origin(0), begin)
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
