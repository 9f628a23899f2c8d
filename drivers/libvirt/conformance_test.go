package libvirt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/drivertest"
	"grapevine/fleet"
)

func TestConformance(t *testing.T) {
	// Logs are moved aside early, so that a case need not print 8 MiB.
	h := &harness{lab: newLab(t, "logd", "--log-size", "16384")}
	h.network(t)
	drivertest.Run(t, h)
}

// network makes a network that leads nowhere, and that no machine is on that
// does not ask for it.
func (h *harness) network(tb testing.TB) {
	tb.Helper()
	file := filepath.Join(h.dir, "network.xml")
	text := `<network><name>isolated</name><forward mode="open"/><bridge name="isolated0" stp="off"/><dns enable="no"/><ip address="192.0.2.1" prefix="24"/></network>`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	h.virsh(tb, "net-define", file)
	h.virsh(tb, "net-autostart", "isolated")
	h.virsh(tb, "net-start", "isolated")
}

func TestSequences(t *testing.T) {
	drivertest.SetSequences(t, 10, 8)
	drivertest.RunSequences(t, &harness{lab: newLab(t, "logd")})
}

func BenchmarkDriver(b *testing.B) {
	drivertest.RunBenchmarks(b, &harness{lab: newLab(b, "logd")})
}

// harness is a private libvirtd with QEMU under emulation, and virsh behind
// the driver's back.
type harness struct{ *lab }

func (h *harness) Open(tb testing.TB) drivers.Driver {
	tb.Helper()
	return h.open(tb, nil)
}

func (h *harness) Facts() drivertest.Facts {
	return drivertest.Facts{Size: fleet.Resources{VCPUs: 1, MemoryMiB: 96}, Many: 50, Patience: time.Minute}
}

func (h *harness) Image() (fleet.Image, []byte) { return tinyGuest() }

func (h *harness) Define(tb testing.TB, name string) fleet.InstanceID {
	tb.Helper()
	id := randomID()
	file := filepath.Join(h.dir, id.String()+".xml")
	text := fmt.Sprintf(`<domain type="qemu"><name>%s</name><uuid>%s</uuid><memory unit="MiB">32</memory><vcpu>1</vcpu>
		<os><type arch="x86_64">hvm</type></os><devices/></domain>`, name, id)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	h.virsh(tb, "define", file)
	return id
}

func (h *harness) PowerOn(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	h.virsh(tb, "start", id.String())
}

func (h *harness) PowerOff(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	h.virsh(tb, "destroy", id.String())
}

func (h *harness) Remove(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	h.virsh(tb, "undefine", id.String())
}

func (h *harness) Cut(tb testing.TB) {
	tb.Helper()
	h.daemon(tb, "halt")
}

func (h *harness) Restore(tb testing.TB) {
	tb.Helper()
	h.daemon(tb, "start")
}

func (h *harness) Storage(tb testing.TB) []string {
	tb.Helper()
	entries, err := os.ReadDir(h.pool())
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Guest is the seed as it lies in the pool: its files are in it as they are.
func (h *harness) Guest(tb testing.TB, id fleet.InstanceID) string {
	tb.Helper()
	seeds, err := filepath.Glob(filepath.Join(h.pool(), "seed-"+id.String()+"*.iso"))
	if err != nil || len(seeds) != 1 {
		tb.Fatalf("its seeds are %v (%v), want one", seeds, err)
	}
	seed, err := os.ReadFile(seeds[0])
	if err != nil {
		tb.Fatal(err)
	}
	return string(seed)
}

func (h *harness) WriteDisk(tb testing.TB, id fleet.InstanceID, disk string, offset int64, data []byte) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	volume := "disk-" + id.String() + ".qcow2"
	if disk != "disk-0" {
		volume = "disk-" + id.String() + strings.TrimPrefix(disk, "disk") + ".qcow2"
	}
	run(tb, "qemu-io", "-f", "qcow2", "-c", fmt.Sprintf("write -s %s %d %d", file, offset, len(data)), filepath.Join(h.pool(), volume))
}

func (h *harness) RawDisk(tb testing.TB, format string, content []byte) []byte {
	tb.Helper()
	dir := tb.TempDir()
	file, raw := filepath.Join(dir, "disk"), filepath.Join(dir, "raw")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	run(tb, "qemu-img", "check", "-q", "-f", format, file)
	run(tb, "qemu-img", "convert", "-f", format, "-O", "raw", file, raw)
	f, err := os.Open(raw)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	begin := make([]byte, 1<<20)
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		tb.Fatal(err)
	}
	return begin[:n]
}

// tinyGuest is the image that scripts/tiny-guest makes, made once.
var tinyGuest = sync.OnceValues(func() (fleet.Image, []byte) {
	dir, err := os.MkdirTemp("", "grapevine-guest-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if out, err := command("../../scripts/tiny-guest", dir); err != nil {
		panic(fmt.Sprintf("make the tiny guest: %v: %s", err, out))
	}
	im := fleet.Image{Name: "tiny", Cmdline: "console=ttyS0 quiet no_timer_check", CreatedAt: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)}
	var content bytes.Buffer
	for _, file := range []struct {
		name string
		role fleet.ImageRole
	}{{"vmlinuz", fleet.RoleKernel}, {"initrd", fleet.RoleInitrd}} {
		b, err := os.ReadFile(filepath.Join(dir, file.name))
		if err != nil {
			panic(err)
		}
		im.Files = append(im.Files, imageFile(file.role, "", b, 0))
		im.Bytes += int64(len(b))
		content.Write(b)
	}
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	return im, content.Bytes()
})

func imageFile(role fleet.ImageRole, format string, content []byte, virtual int64) fleet.ImageFile {
	sum := sha256.Sum256(content)
	return fleet.ImageFile{
		Role: role, Format: format, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), VirtualBytes: virtual,
	}
}
