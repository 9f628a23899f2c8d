package libvirt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
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

func (d *Driver) describe(ctx context.Context) (drivers.Description, error) {
	desc := drivers.Description{Hypervisor: hypervisor, Features: features(), Disks: storage.Disks}
	caps, err := d.capabilities(ctx)
	if err != nil {
		return desc, err
	}
	accelerator, _, err := d.accelerate(ctx, caps)
	if err != nil {
		return desc, err
	}
	desc.Traits = []string{"accelerator-" + accelerator}
	desc.Hardware = hardware(caps.Host.UUID, smbiosPath, machineIDPath)
	pool, err := d.storage.Pool(ctx)
	if err != nil {
		return desc, err
	}
	size, err := pool.Bytes(ctx)
	if err != nil {
		return desc, err
	}
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		kind, err := rpc.ConnectGetType()
		if err != nil {
			return err
		}
		version, err := rpc.ConnectGetVersion()
		if err != nil {
			return err
		}
		desc.Version = versionOf(kind, version)
		desc.Total, err = totals(rpc)
		desc.Total.DiskGiB = int64(size >> 30)
		return err
	})
	return desc, err
}

// totals are the machine's processors and memory.
func totals(rpc *golibvirt.Libvirt) (fleet.Resources, error) {
	_, memoryKiB, cpus, _, _, _, _, _, err := rpc.NodeGetInfo()
	if err != nil {
		return fleet.Resources{}, err
	}
	if accounted, err := kernelMemory(rpc); err == nil {
		memoryKiB = accounted
	} else if !session.IsCode(err, golibvirt.ErrNoSupport) {
		return fleet.Resources{}, err
	}
	return fleet.Resources{VCPUs: int64(cpus), MemoryMiB: int64(memoryKiB / 1024)}, nil
}

// kernelMemory returns the KiB of memory that the host's kernel accounts for.
// NodeGetInfo says what libvirt found at boot, and lacks what was plugged in
// since: half of it and more on some virtual machines. Not every flavour can
// tell.
func kernelMemory(rpc *golibvirt.Libvirt) (uint64, error) {
	all := int32(golibvirt.NodeMemoryStatsAllCells)
	_, count, err := rpc.NodeGetMemoryStats(0, all, 0)
	if err != nil {
		return 0, err
	}
	stats, _, err := rpc.NodeGetMemoryStats(count, all, 0)
	if err != nil {
		return 0, err
	}
	for _, s := range stats {
		if s.Field == "total" {
			return s.Value, nil
		}
	}
	return 0, golibvirt.Error{Code: uint32(golibvirt.ErrNoSupport), Message: "libvirt does not say how much memory the host has"}
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
	if _, err := os.Stat(smbios); err == nil {
		return hostUUID
	}
	id, err := os.ReadFile(machineID)
	if err != nil || strings.TrimSpace(string(id)) == "" {
		return hostUUID
	}
	sum := sha256.Sum256([]byte("grapevine " + strings.TrimSpace(string(id))))
	return "machine-id:" + hex.EncodeToString(sum[:16])
}
