package libvirt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// Describe implements drivers.Driver. It makes the storage pool when it is
// absent, for the host's disk space is the pool's.
func (d *Driver) Describe(ctx context.Context) (drivers.Description, error) {
	desc, err := d.describe(ctx)
	if err != nil {
		return drivers.Description{}, fmt.Errorf("describe host: %w", err)
	}
	return desc, nil
}

func (d *Driver) describe(ctx context.Context) (desc drivers.Description, err error) {
	desc.Hypervisor, desc.Disks = d.flavour.hypervisor, storage.Disks
	caps, err := d.capabilities(ctx)
	if err != nil {
		return desc, err
	}
	networks, err := d.networks(ctx)
	if err != nil {
		return desc, err
	}
	desc.Networks = slices.Sorted(maps.Keys(networks))
	if desc.Features, err = d.flavour.features(ctx, d, caps, networks); err != nil {
		return desc, err
	}
	guests, err := d.flavour.guests(ctx, d, caps)
	if err != nil {
		return desc, err
	}
	processor, err := d.cpuTraits(ctx, caps, guests)
	if err != nil {
		return desc, err
	}
	desc.Traits = slices.Concat(guests.traits, processor)
	if desc.Hardware, err = d.flavour.hardware(ctx, d, caps); err != nil {
		return desc, err
	}
	if desc.Version, err = d.version(ctx); err != nil {
		return desc, err
	}
	p, err := d.places(ctx)
	if err != nil {
		return desc, err
	}
	if p.disks.Blocks() {
		desc.Features = slices.DeleteFunc(desc.Features, func(f drivers.Feature) bool { return slices.Contains(ofFiles, f) })
	}
	size, left, err := p.disks.Bytes(ctx)
	if err != nil {
		return desc, err
	}
	desc.StorageFull, desc.Boot = left < drivers.FullBelow, bootOf(bootIDPath)
	desc.Total, desc.Reserved, err = d.totals(ctx, size)
	return desc, err
}

// ofFiles are the features of machines whose disks are files.
var ofFiles = []drivers.Feature{drivers.FeatureSnapshot, drivers.FeatureGrowRunning}

const bootIDPath = "/proc/sys/kernel/random/boot_id"

// bootOf names the boot of the machine that this process runs on, which is the
// hypervisor's: the driver speaks to nothing but unix sockets.
func bootOf(path string) string {
	id, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// version is that of the hypervisor.
func (d *Driver) version(ctx context.Context) (version string, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		kind, err := rpc.ConnectGetType()
		if err != nil {
			return err
		}
		number, err := rpc.ConnectGetVersion()
		version = d.flavour.version(kind, number)
		return err
	})
	return version, err
}

// totals are the machine's processors, its memory and the size of the pool of
// disks, and what of them no guest can have.
func (d *Driver) totals(ctx context.Context, size uint64) (total, reserved fleet.Resources, err error) {
	memory, held, err := d.flavour.memory(ctx, d)
	if err != nil {
		return total, reserved, err
	}
	total = fleet.Resources{MemoryMiB: int64(memory >> 10), DiskGiB: int64(size >> 30)}
	reserved.MemoryMiB = int64(held >> 10)
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		_, _, cpus, _, _, _, _, _, err := rpc.NodeGetInfo()
		total.VCPUs = int64(cpus)
		return err
	})
	return total, reserved, err
}

const (
	smbiosPath    = "/sys/class/dmi/id/product_uuid"
	machineIDPath = "/etc/machine-id"
)

// hardware fingerprints the machine. Where there is SMBIOS it is libvirt's
// host UUID, which comes from there or from libvirtd.conf. Elsewhere libvirtd
// draws another UUID at each of its starts, which would look like other
// hardware; the system's machine id, hashed as its manual asks, is the best
// that there is.
func hardware(hostUUID, smbios, machineID string) string {
	if _, err := os.Stat(smbios); err == nil && hostUUID != "" {
		return hostUUID
	}
	id, err := os.ReadFile(machineID)
	if err != nil || strings.TrimSpace(string(id)) == "" {
		return hostUUID
	}
	sum := sha256.Sum256([]byte("grapevine " + strings.TrimSpace(string(id))))
	return "machine-id:" + hex.EncodeToString(sum[:16])
}
