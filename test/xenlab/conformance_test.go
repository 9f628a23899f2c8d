package xenlab_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/drivertest"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/test/xenlab"
)

// The suite that all drivers pass, on Xen.
func TestConformance(t *testing.T) {
	host := xenlab.Start(t)
	// The bridge gets the card that leads out, as on other hosts: without one it
	// is there only while guests are on it.
	_, err := host.Shell(t.Context(), makeRoom+"ip link set eth1 up master xenbr0")
	must(t, err)
	drivertest.Run(t, newHarness(t, host))
}

func newHarness(t *testing.T, host *xenlab.Host) *harness {
	t.Helper()
	return &harness{host: host, relay: host.Relay(t), behind: connect(t, host), guest: tinyGuest(t), logged: map[fleet.InstanceID]string{}}
}

// harness is the emulated Xen host, reached by drivers through a socket that
// can be cut, and by a person at the host through another connection.
type harness struct {
	host   *xenlab.Host
	relay  *xenlab.Relay
	behind *golibvirt.Libvirt
	guest  tiny
	// disks is the pool of machines' disks, where it is one of block devices.
	disks string
	// logged are the domains that a person has started, and so their logs.
	logged map[fleet.InstanceID]string
}

func (h *harness) Open(tb testing.TB) drivers.Driver {
	tb.Helper()
	d, err := libvirt.New(libvirt.Config{URI: "xen:///system", Socket: h.relay.Path(), Dial: h.host.DialLoopback, DiskPool: h.disks})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (h *harness) Facts() drivertest.Facts {
	return drivertest.Facts{
		Size: fleet.Resources{VCPUs: 1, MemoryMiB: 96}, Many: 20, ListWithin: patience, Patience: patience,
		LogBound: -1, // Xen's own daemon writes them
	}
}

func (h *harness) Image() (fleet.Image, []byte) { return h.guest.image, h.guest.content }

// Screen is what an HVM guest boots; PV guests have none.
func (h *harness) Screen() (fleet.Image, []byte) { return diskImage() }

func (h *harness) Define(tb testing.TB, name string) fleet.InstanceID {
	tb.Helper()
	id := randomID()
	_, err := h.behind.DomainDefineXML(fmt.Sprintf(`<domain type="xen"><name>%s</name><uuid>%s</uuid>
		<memory unit="MiB">96</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="xenpv">linux</type>
		<kernel>/var/lib/libvirt/images/tiny-guest/vmlinuz</kernel>
		<initrd>/var/lib/libvirt/images/tiny-guest/initrd</initrd></os></domain>`, name, id))
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func (h *harness) PowerOn(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	h.do(tb, id, func(dom golibvirt.Domain) error {
		h.logged[id] = dom.Name
		return h.behind.DomainCreate(dom)
	})
}

func (h *harness) PowerOff(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	h.do(tb, id, h.behind.DomainDestroy)
}

// Remove takes the console log along that PowerOn has begun: to the next machine
// of this name it would be another's.
func (h *harness) Remove(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	h.do(tb, id, h.behind.DomainUndefine)
	if name, ok := h.logged[id]; ok {
		_, err := h.host.Shell(context.WithoutCancel(tb.Context()), fmt.Sprintf("rm -f '/var/log/xen/console/guest-%s.log'", name))
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func (h *harness) do(tb testing.TB, id fleet.InstanceID, what func(golibvirt.Domain) error) {
	tb.Helper()
	dom, err := h.behind.DomainLookupByUUID(golibvirt.UUID(id))
	if err == nil {
		err = what(dom)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func (h *harness) Cut(tb testing.TB) {
	tb.Helper()
	h.relay.Cut()
}

func (h *harness) Restore(tb testing.TB) {
	tb.Helper()
	h.relay.Restore(tb)
}

// Storage is what lies in the driver's pool, and the console logs of machines
// that are gone, each in its own folder. A log comes when its machine first
// runs.
func (h *harness) Storage(tb testing.TB) (names []string) {
	tb.Helper()
	domains, _, err := h.behind.ConnectListAllDomains(1, 0)
	if err != nil {
		tb.Fatal(err)
	}
	logs := map[string]bool{}
	for _, dom := range domains {
		logs["guest-"+dom.Name+".log"] = true
	}
	pools, _, err := h.behind.ConnectListAllStoragePools(1, 0)
	if err != nil {
		tb.Fatal(err)
	}
	for _, pool := range pools {
		if err := h.behind.StoragePoolRefresh(pool, 0); err != nil {
			tb.Fatal(err)
		}
		volumes, _, err := h.behind.StoragePoolListAllVolumes(pool, 1, 0)
		if err != nil {
			tb.Fatal(err)
		}
		for _, vol := range volumes {
			if !logs[vol.Name] {
				names = append(names, vol.Pool+"/"+vol.Name)
			}
		}
	}
	return names
}

// Guest is the seed as it lies in the pool: its files are in it as they are.
func (h *harness) Guest(tb testing.TB, id fleet.InstanceID) string {
	tb.Helper()
	seed, err := h.host.Shell(tb.Context(), fmt.Sprintf("cat /var/lib/libvirt/images/grapevine/seed-%s*.iso", id))
	if err != nil {
		tb.Fatal(err)
	}
	return seed
}

func (h *harness) WriteDisk(tb testing.TB, id fleet.InstanceID, disk string, offset int64, data []byte) {
	tb.Helper()
	format, volume := "qcow2", "/var/lib/libvirt/images/grapevine/disk-"+id.String()+strings.TrimPrefix(disk[4:], "-0")+".qcow2"
	if h.disks != "" {
		format, volume = "raw", "/dev/"+h.disks+"/disk-"+id.String()+strings.TrimPrefix(disk[4:], "-0")
	}
	_, err := h.host.Shell(tb.Context(), fmt.Sprintf(`f=$(mktemp) && echo %s | base64 -d >"$f" && qemu-io -f %s -c "write -s $f %d %d" %s && rm "$f"`,
		base64.StdEncoding.EncodeToString(data), format, offset, len(data), volume))
	if err != nil {
		tb.Fatal(err)
	}
}

func (h *harness) RawDisk(tb testing.TB, format string, content []byte) []byte {
	tb.Helper()
	dir := tb.TempDir()
	file, raw := filepath.Join(dir, "disk"), filepath.Join(dir, "raw")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", format, "-O", "raw", file, raw).CombinedOutput(); err != nil {
		tb.Fatalf("qemu-img: %v: %s", err, out)
	}
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

// tiny is the image that scripts/tiny-guest makes, for a PV guest.
type tiny struct {
	image   fleet.Image
	content []byte
}

func tinyGuest(tb testing.TB) (g tiny) {
	tb.Helper()
	dir := tb.TempDir()
	if out, err := exec.CommandContext(tb.Context(), "../../scripts/tiny-guest", dir).CombinedOutput(); err != nil {
		tb.Fatalf("make the tiny guest: %v: %s", err, out)
	}
	g.image = fleet.Image{Name: "tiny", Cmdline: "console=hvc0 quiet", CreatedAt: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)}
	var content bytes.Buffer
	for _, file := range []struct {
		name string
		role fleet.ImageRole
	}{{"vmlinuz", fleet.RoleKernel}, {"initrd", fleet.RoleInitrd}} {
		b, err := os.ReadFile(filepath.Join(dir, file.name))
		if err != nil {
			tb.Fatal(err)
		}
		g.image.Files = append(g.image.Files, imageFile(file.role, "", b))
		g.image.Bytes += int64(len(b))
		content.Write(b)
	}
	g.image.ID = fleet.ImageID(g.image.Files, g.image.Cmdline)
	g.content = content.Bytes()
	return g
}

func imageFile(role fleet.ImageRole, format string, content []byte) fleet.ImageFile {
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: role, Format: format, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
	if role == fleet.RoleDisk {
		f.VirtualBytes = f.Bytes
	}
	return f
}

func randomID() fleet.InstanceID {
	var b [16]byte
	rand.Read(b[:])
	return fleet.NewUUIDv4(b)
}
