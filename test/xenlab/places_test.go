package xenlab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
)

// nfs uses a pool that libvirt mounts from an NFS server, which is dom0 itself:
// a machine lives in it as in a folder, and leaves nothing.
func (b *bench) nfs(t *testing.T) {
	_, err := b.host.Shell(t.Context(), `set -e
mkdir -p /srv/shared
echo '/srv/shared 127.0.0.1(rw,no_root_squash,no_subtree_check,insecure)' >/etc/exports
systemctl start nfs-server
virsh -q pool-define-as shared netfs --source-host 127.0.0.1 --source-path /srv/shared --target /var/lib/libvirt/shared`)
	must(t, err)
	d := b.beside(t, func(c *libvirt.Config) { c.Pool = "shared" })
	desc, err := d.Describe(t.Context())
	must(t, err)
	if desc.Total.DiskGiB < 1 {
		t.Errorf("the host has %d GiB for disks", desc.Total.DiskGiB)
	}
	mounted, err := b.host.Shell(t.Context(), "stat -f -c %T /var/lib/libvirt/shared")
	must(t, err)
	if strings.TrimSpace(mounted) != "nfs" {
		t.Errorf("the pool's folder is on %q, want nfs", mounted)
	}
	guest := tinyGuest(t)
	id := (&bench{host: b.host, d: d}).build(t, guest.image, guest.content, fleet.Resources{VCPUs: 1, MemoryMiB: 96, DiskGiB: 1})
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, fmt.Sprintf("tiny-guest: up, id %s, disks xvda:%d", id, 1<<30/512), 1)
	must(t, d.Delete(t.Context(), id))
	must(t, d.RemoveImage(t.Context(), guest.image.ID))
	left, err := b.host.Shell(t.Context(), "ls /srv/shared")
	must(t, err)
	if left != "" {
		t.Errorf("on the server there is left %q", left)
	}
}

// bridged puts a card on a bridge of dom0 by its name, and asks in vain for a
// VLAN there, before anything is begun.
func (b *bench) bridged(t *testing.T) {
	_, err := b.host.Shell(t.Context(), "ip link set eth1 up master xenbr0")
	must(t, err)
	guest := tinyGuest(t)
	must(t, b.d.ImportImage(t.Context(), guest.image, bytes.NewReader(guest.content)))
	if err := b.d.Build(t.Context(), carded(guest.image, fleet.NIC{Network: "xenbr0", VLAN: 12})); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("a VLAN on a bridge of Linux: got %v, want ErrUnsupported", err)
	}
	b.runsCarded(t, carded(guest.image, fleet.NIC{Network: "xenbr0"}))
	ports, err := b.host.Shell(t.Context(), "ls /sys/class/net/xenbr0/brif")
	must(t, err)
	if !strings.Contains(ports, "vif") {
		t.Errorf("on the bridge there are %q, want the machine's card", ports)
	}
}

// carded is a machine with one card.
func carded(im fleet.Image, card fleet.NIC) drivers.Spec {
	id := randomID()
	return drivers.Spec{
		Mark: drivers.Mark{ID: id, Name: "carded", Image: im.ID}, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 96}, Image: im,
		Cards: fleet.Cards(id, []fleet.NIC{card}),
	}
}

// runsCarded builds and starts a machine, which goes with the test.
func (b *bench) runsCarded(t *testing.T, spec drivers.Spec) {
	t.Helper()
	t.Cleanup(func() {
		if err := b.d.Delete(context.WithoutCancel(t.Context()), spec.Mark.ID); err != nil {
			t.Error(err)
		}
	})
	must(t, b.d.Build(t.Context(), spec))
	must(t, b.d.Act(t.Context(), spec.Mark.ID, fleet.Start, drivers.ActOptions{}))
}

// beside is another driver on the same host.
func (b *bench) beside(t *testing.T, change func(*libvirt.Config)) *libvirt.Driver {
	t.Helper()
	config := libvirt.Config{URI: "xen:///system", Socket: b.host.Relay(t).Path()}
	change(&config)
	d, err := libvirt.New(config)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}
