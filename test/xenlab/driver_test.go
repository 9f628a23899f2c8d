package xenlab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/test/xenlab"
)

// TestDriverOnXen holds what the conformance suite cannot ask of every driver:
// what is Xen's own.
func TestDriverOnXen(t *testing.T) {
	host := xenlab.Start(t)
	d, err := libvirt.New(libvirt.Config{URI: "xen:///system", Socket: host.Relay(t).Path()})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	b := &bench{host: host, d: d}
	t.Run("HostIsDescribed", b.described)
	t.Run("MemoryIsWhatXenWouldGive", b.memory)
	t.Run("KernelBootsWithADiskAndHearsStopAndReboot", b.kernel)
	t.Run("DiskBootsAsAnHVMGuest", b.disk)
	t.Run("RescueDiskBootsInTheFirstOnesPlace", b.rescue)
	t.Run("ConsoleLogsAreBounded", b.boundedLogs)
	t.Run("SerialLogsAreBounded", b.boundedSerial)
	t.Run("SnapshotsAreRefused", b.snapshots)
	t.Run("CardIsOnABridgeByName", b.bridged)
	t.Run("PoolOnNFSHoldsMachines", b.nfs)
	t.Run("DisksOnLVMLiveAndGo", b.logical)
	t.Run("WithoutItsFolderNoConsoleIsRecorded", b.unrecorded) // last: the folder is gone then
}

// bench is a driver on a Xen host.
type bench struct {
	host *xenlab.Host
	d    *libvirt.Driver
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build makes a machine of the image, which goes with the test.
func (b *bench) build(t *testing.T, im fleet.Image, content []byte, size fleet.Resources) fleet.InstanceID {
	t.Helper()
	must(t, b.d.ImportImage(t.Context(), im, bytes.NewReader(content)))
	id := randomID()
	t.Cleanup(func() {
		if err := b.d.Delete(context.WithoutCancel(t.Context()), id); err != nil {
			t.Error(err)
		}
	})
	must(t, b.d.Build(t.Context(), drivers.Spec{Mark: drivers.Mark{ID: id, Name: "guest", Image: im.ID}, Resources: size, Image: im}))
	return id
}

// says waits until the machine's console log has this text so many times. It
// looks seldom: each look is work for dom0, and the guest's boot waits for that.
func (b *bench) says(t *testing.T, id fleet.InstanceID, text string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		log := b.log(t, id)
		if strings.Count(log, text) >= times {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the console does not say %q %d times within %s: %s", text, times, patience, log)
		}
	}
}

func (b *bench) described(t *testing.T) {
	desc, err := b.d.Describe(t.Context())
	must(t, err)
	if desc.Hypervisor != fleet.Xen || desc.Version != "Xen 4.17" {
		t.Errorf("it is %s, %s; want xen, Xen 4.17", desc.Hypervisor, desc.Version)
	}
	if want := []string{"xen-pv", "xen-pvh", "xen-hvm"}; !slices.Equal(desc.Traits, want) {
		t.Errorf("its traits are %q, want %q", desc.Traits, want)
	}
	for _, f := range b.d.Diagnose(t.Context()) {
		if f.Severity == drivers.SeverityError || f.Severity != drivers.SeverityOK && f.Code != "network_inactive" {
			t.Errorf("the doctor complains: %+v", f)
		}
	}
}

// memory holds the account against what Xen says itself: dom0's gigabyte is no
// guest's, and dom0 is no machine.
func (b *bench) memory(t *testing.T) {
	desc, err := b.d.Describe(t.Context())
	must(t, err)
	said, err := b.host.Shell(t.Context(), "xl info | sed -n 's/^total_memory *: //p; s/^free_memory *: //p'")
	must(t, err)
	var total, free int64
	if _, err := fmt.Sscan(said, &total, &free); err != nil {
		t.Fatalf("xl info says %q: %v", said, err)
	}
	if desc.Total.MemoryMiB != total {
		t.Errorf("%d MiB in all, Xen says %d", desc.Total.MemoryMiB, total)
	}
	if grantable := desc.Total.MemoryMiB - desc.Reserved.MemoryMiB; grantable > free || grantable < free-64 {
		t.Errorf("%d MiB for guests, Xen would give %d", grantable, free)
	}
	list, err := b.d.List(t.Context())
	must(t, err)
	if len(list) != 0 {
		t.Errorf("got %+v; Domain-0 is no machine", list)
	}
}

func (b *bench) kernel(t *testing.T) {
	guest := tinyGuest(t)
	id := b.build(t, guest.image, guest.content, fleet.Resources{VCPUs: 1, MemoryMiB: 96, DiskGiB: 1})
	must(t, b.d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	up := fmt.Sprintf("tiny-guest: up, id %s, disks xvda:%d", id, 1<<30/512)
	b.says(t, id, up, 1)
	must(t, b.d.Act(t.Context(), id, fleet.Reboot, drivers.ActOptions{Grace: patience}))
	b.says(t, id, up, 2)
	must(t, b.d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{Grace: patience}))
	b.says(t, id, "tiny-guest: power button", 1)
	// It is done with: it starts at once.
	must(t, b.d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, up, 3)
}

// bootSector writes its word to the first serial port and waits: to Xen, a halt
// without interrupts is the end of the guest.
func bootSector(word string) []byte {
	code := []byte{
		0xbe, 0x13, 0x7c, // mov si, 0x7c13
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x2e, 0xac, // cs lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz +3
		0xee,       // out dx, al
		0xeb, 0xf7, // jmp -9
		0xfb, 0xf4, 0xeb, 0xfd, // sti; hlt; jmp -3
	}
	disk := make([]byte, 1<<20)
	copy(disk, append(code, word...))
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// bootSector builds a machine from a disk that says that it has booted.
func (b *bench) bootSector(t *testing.T) fleet.InstanceID {
	t.Helper()
	im, content := diskImage()
	return b.build(t, im, content, fleet.Resources{VCPUs: 1, MemoryMiB: 128})
}

func diskImage() (fleet.Image, []byte) {
	content := bootSector("a disk has booted\n")
	f := imageFile(fleet.RoleDisk, "raw", content)
	return fleet.Image{ID: f.SHA256, Name: "disk", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}, content
}

func (b *bench) disk(t *testing.T) {
	id := b.bootSector(t)
	must(t, b.d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	b.says(t, id, "a disk has booted", 1)
	if _, err := b.d.OpenConsole(t.Context(), id, fleet.SerialConsole, false); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("open its serial console: got %v, want ErrUnsupported", err)
	}
	must(t, b.d.Delete(t.Context(), id))
	// Xen's own daemon has made a log of it too.
	if left, err := b.host.Shell(t.Context(), "ls /var/log/xen/console | grep ^guest-guest- || true"); err != nil || left != "" {
		t.Errorf("the machine is deleted, and left %q, %v", left, err)
	}
}

func (b *bench) snapshots(t *testing.T) {
	desc, err := b.d.Describe(t.Context())
	must(t, err)
	if slices.Contains(desc.Features, drivers.FeatureSnapshot) {
		t.Error("snapshots are declared; libxl has none")
	}
	guest := tinyGuest(t)
	id := b.build(t, guest.image, guest.content, fleet.Resources{VCPUs: 1, MemoryMiB: 96})
	if err := b.d.TakeSnapshot(t.Context(), id, "s"); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("take a snapshot: got %v, want ErrUnsupported", err)
	}
}

func (b *bench) unrecorded(t *testing.T) {
	_, err := b.host.Shell(t.Context(), "virsh -q pool-destroy grapevine-console && mv /var/log/xen/console /var/log/xen/elsewhere")
	must(t, err)
	desc, err := b.d.Describe(t.Context())
	must(t, err)
	if slices.Contains(desc.Features, drivers.FeatureConsoleLog) {
		t.Error("console logs are declared, and there are none")
	}
	if !slices.ContainsFunc(b.d.Diagnose(t.Context()), func(f drivers.Finding) bool { return f.Code == "consoles_unrecorded" && f.Fix != "" }) {
		t.Error("the doctor does not say so")
	}
}
