package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

// Diagnose implements drivers.Diagnoser: the socket, the way guests run, the
// storage pool and the network, in this order; on Xen where consoles are
// recorded; and any console log that is not bounded.
func (d *Driver) Diagnose(ctx context.Context) []drivers.Finding {
	connection := d.diagnoseSocket(ctx)
	if connection.Severity == drivers.SeverityError {
		return []drivers.Finding{connection}
	}
	found := []drivers.Finding{connection, d.diagnoseAccelerator(ctx), d.diagnosePool(ctx, d.config.Pool, storage.Kinds)}
	if d.storage.Apart() {
		found = append(found, d.diagnosePool(ctx, d.config.DiskPool, storage.DiskKinds))
	}
	found = append(found, d.diagnoseNetwork(ctx))
	if d.flavour.hypervisor == fleet.Xen {
		found = append(found, d.diagnoseXenLogs(ctx))
	}
	return append(found, d.diagnoseLogs(ctx)...)
}

func (d *Driver) diagnoseSocket(ctx context.Context) drivers.Finding {
	f := drivers.Finding{Code: "libvirt_unreachable", Severity: drivers.SeverityError, Subject: d.socket()}
	err := d.session.Greet(ctx)
	switch {
	case err == nil:
		f.Code, f.Severity, f.Detail = "libvirt_ok", drivers.SeverityOK, "libvirt answers"
	case errors.Is(err, fs.ErrNotExist):
		f.Code, f.Detail = "libvirt_socket_absent", "there is no socket at "+f.Subject
		f.Fix = "Install libvirt (Debian: apt install libvirt-daemon-system qemu-system-x86) and start it: systemctl enable --now libvirtd."
	case errors.Is(err, fs.ErrPermission):
		f.Code, f.Detail = "libvirt_permission_denied", "this user may not open "+f.Subject
		f.Fix = "Add the agent's user to the group that owns the socket (Debian: adduser grapevine libvirt) and restart the agent."
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Code, f.Detail = "libvirt_not_running", "nothing listens at "+f.Subject
		f.Fix = "Start libvirt: systemctl start libvirtd."
	default:
		f.Detail = err.Error()
		f.Fix = "Look into libvirt's own log: journalctl -u libvirtd."
	}
	return f
}

func (d *Driver) diagnoseAccelerator(ctx context.Context) drivers.Finding {
	f := drivers.Finding{Subject: "accelerator"}
	caps, err := d.capabilities(ctx)
	if err != nil {
		return failed(f, err)
	}
	g, err := d.flavour.guests(ctx, d, caps)
	if err != nil {
		return failed(f, err)
	}
	return d.flavour.advise(d, caps, g)
}

func (d *Driver) diagnosePool(ctx context.Context, name string, taken []string) drivers.Finding {
	f := drivers.Finding{Code: "pool_ok", Severity: drivers.SeverityOK, Subject: name}
	var active int32
	var free uint64
	var kind string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		pool, err := rpc.StoragePoolLookupByName(name)
		if err != nil {
			return err
		}
		if kind, err = storage.KindOf(rpc, pool); err != nil {
			return err
		}
		if active, err = rpc.StoragePoolIsActive(pool); err != nil || active == 0 {
			return err
		}
		_, _, _, free, err = rpc.StoragePoolGetInfo(pool)
		return err
	})
	switch {
	case session.IsCode(err, golibvirt.ErrNoStoragePool) && name != d.config.Pool:
		f.Code, f.Severity = "pool_missing", drivers.SeverityError
		f.Detail = "there is no storage pool of this name, and no disk can be made"
		f.Fix = "Define it (virsh pool-define-as) and start it, or leave libvirt_disk_pool empty."
	case session.IsCode(err, golibvirt.ErrNoStoragePool):
		f.Code, f.Severity = "pool_missing", drivers.SeverityWarning
		f.Detail = "there is no storage pool of this name yet"
		f.Fix = "Start the agent, which makes it at " + d.config.PoolPath + ", or make one of this name elsewhere: virsh pool-define-as."
	case err != nil:
		return failed(f, err)
	case !slices.Contains(taken, kind):
		f.Code, f.Severity, f.Detail = "pool_unusable", drivers.SeverityError, storage.Unfit(kind, taken)
		f.Fix = "Set libvirt_disk_pool to a pool of another type."
		if name == d.config.Pool {
			f.Fix = "Set libvirt_pool to a pool of another type, or to a name that no pool has, to have one made; a pool on LVM or ZFS can be libvirt_disk_pool."
		}
	case active == 0:
		f.Code, f.Severity, f.Detail = "pool_inactive", drivers.SeverityWarning, "the storage pool is not started"
		f.Fix = "Start it: virsh pool-start " + name + " (the agent tries to, too)."
	case free < 1<<30:
		f.Code, f.Severity, f.Detail = "pool_full", drivers.SeverityWarning, fmt.Sprintf("the storage pool has %d MiB left", free>>20)
		f.Fix = "Remove images or machines, or enlarge it."
	default:
		f.Detail = fmt.Sprintf("the storage pool has %d GiB left", free>>30)
	}
	return f
}

func (d *Driver) diagnoseNetwork(ctx context.Context) drivers.Finding {
	f := drivers.Finding{Code: "network_ok", Severity: drivers.SeverityOK, Subject: d.config.Network, Detail: "machines get a card on it"}
	networks, err := d.networks(ctx)
	if err != nil {
		return failed(f, err)
	}
	if _, runs := networks[d.config.Network]; !runs {
		f.Code, f.Severity = "network_inactive", drivers.SeverityWarning
		f.Detail = "the network is absent or not started; machines built now have no card"
		f.Fix = "Start it: virsh net-start " + d.config.Network + " and virsh net-autostart " + d.config.Network + "."
	}
	return f
}

// failed is the finding that something could not be looked at.
func failed(f drivers.Finding, err error) drivers.Finding {
	f.Code, f.Severity, f.Detail = "libvirt_unreachable", drivers.SeverityError, err.Error()
	f.Fix = "Look into libvirt's own log: journalctl -u libvirtd."
	return f
}
