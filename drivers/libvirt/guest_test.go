package libvirt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
)

// TestRealGuests holds what the conformance suite cannot ask of every driver:
// real guests under emulation, on one private libvirtd whose QEMU writes the
// console logs itself (the suite's has virtlogd write them).
func TestRealGuests(t *testing.T) {
	l := newLab(t, "file")
	t.Run("DiagnoseBeforeAndAfterFirstUse", l.diagnoseBeforeAndAfter)
	t.Run("MemoryIsWhatTheKernelHas", l.memory)
	t.Run("KernelBootsWithDiskAndObeysThePowerButton", l.kernelGuest)
	t.Run("DiskBootsAndHoldsItsImage", l.diskGuest)
	t.Run("CardOnActiveNetworkOnly", l.networkCard)
	t.Run("CardOnABridgeOfTheHostByName", l.bridgedCard)
	t.Run("CardIsTaggedOnOpenVSwitch", l.taggedCard)
	t.Run("AddressesAreFoundByLeaseAgentAndARP", l.addresses)
	t.Run("RunningGuestSeesWhatItIsGiven", l.growth)
	t.Run("RotatedConsoleLogIsReadWholeAndDeleted", l.rotatedConsole)
	t.Run("FollowedConsoleLogIsNotTakenForTheFileAfterIt", l.followedConsole)
	t.Run("UnboundedConsoleLogIsFound", l.unboundedLog)
	t.Run("InterruptedImportIsSweptAway", l.interruptedImport)
	t.Run("VolumesAreToldWithTheirMachines", l.volumes)
	t.Run("FullPoolIsOutOfSpace", l.fullPool)
	t.Run("PoolOfAFileSystemHoldsMachines", l.mountedPool)
	t.Run("PoolWithoutFilesIsRefused", l.blockPool)
	t.Run("DisksLieInAPoolOfTheirOwn", l.diskPool)
	t.Run("HungDaemonDoesNotHoldCallers", l.hungDaemon)
	t.Run("TestDriverShowsForeignMachine", l.testDriver)
}

// patience is for a busy machine: a guest boots in 4 s on a quiet one.
const patience = 3 * time.Minute

// spec imports the image and describes a machine of it, deleted at the end.
func spec(t *testing.T, d *libvirt.Driver, im fleet.Image, content []byte, diskGiB int64) drivers.Spec {
	t.Helper()
	must(t, d.ImportImage(t.Context(), im, bytes.NewReader(content)))
	id := randomID()
	t.Cleanup(func() {
		if err := d.Delete(context.WithoutCancel(t.Context()), id); err != nil {
			t.Error(err)
		}
	})
	size := fleet.Resources{VCPUs: 1, MemoryMiB: 96, DiskGiB: diskGiB}
	return drivers.Spec{Mark: drivers.Mark{ID: id, Name: t.Name(), Image: im.ID}, Resources: size, Image: im}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func driver(t *testing.T, l *lab, change func(*libvirt.Config)) *libvirt.Driver {
	t.Helper()
	d := l.open(t, change)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func console(t *testing.T, d *libvirt.Driver, id fleet.InstanceID, offset int64) string {
	t.Helper()
	r, err := d.ConsoleLog(t.Context(), id, fleet.LogRange{Offset: offset})
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

// awaitConsole waits until the log has this text so many times.
func awaitConsole(t *testing.T, d *libvirt.Driver, id fleet.InstanceID, text string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for log := ""; strings.Count(log, text) < times; log = console(t, d, id, 0) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the console does not say %q %d times within %s: %s", text, times, patience, log)
		}
	}
}

func (l *lab) kernelGuest(t *testing.T) {
	d := driver(t, l, nil)
	im, content := tinyGuest()
	s := spec(t, d, im, content, 1)
	id := s.Mark.ID
	must(t, d.Build(t.Context(), s))
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	up := fmt.Sprintf("tiny-guest: up, id %s, disks vda:%d", id, 1<<30/512)
	awaitConsole(t, d, id, up, 1)

	must(t, d.Act(t.Context(), id, fleet.Reboot, drivers.ActOptions{Grace: patience}))
	awaitConsole(t, d, id, up, 2)
	if n := strings.Count(console(t, d, id, 0), "tiny-guest: power button"); n != 1 {
		t.Errorf("the guest was asked to reboot %d times, want once", n)
	}
	began := time.Now()
	must(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{Grace: patience}))
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stop took %s; the guest goes down by itself when asked", took)
	}
	if n := strings.Count(console(t, d, id, 0), "tiny-guest: power button"); n != 2 {
		t.Errorf("the guest was asked to go down %d times in all, want twice", n)
	}
}

// bootSector writes its word to the first serial port and halts.
func bootSector(word string) []byte {
	code := []byte{
		0xbe, 0x13, 0x7c, // mov si, 0x7c13
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x2e, 0xac, // cs lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz +3
		0xee,       // out dx, al
		0xeb, 0xf7, // jmp -9
		0xfa, 0xf4, 0xeb, 0xfd, // cli; hlt; jmp -3
	}
	disk := make([]byte, 1<<20)
	copy(disk, append(code, word...))
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

func (l *lab) diskGuest(t *testing.T) {
	d := driver(t, l, nil)
	content := bootSector("a disk has booted\n")
	f := imageFile(fleet.RoleDisk, "raw", content, int64(len(content)))
	im := fleet.Image{ID: f.SHA256, Name: "disk", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}
	s := spec(t, d, im, content, 0)
	must(t, d.Build(t.Context(), s))
	must(t, d.Act(t.Context(), s.Mark.ID, fleet.Start, drivers.ActOptions{}))
	awaitConsole(t, d, s.Mark.ID, "a disk has booted", 1)
	m, err := d.Inspect(t.Context(), s.Mark.ID)
	must(t, err)
	if m.Resources.DiskGiB != 1 {
		t.Errorf("the disk of 1 MiB counts as %d GiB, want 1", m.Resources.DiskGiB)
	}
	if err := d.RemoveImage(t.Context(), im.ID); fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), s.Mark.ID.String()) {
		t.Errorf("remove an image in use: got %v, want a conflict that names the instance", err)
	}
	must(t, d.Delete(t.Context(), s.Mark.ID))
	must(t, d.RemoveImage(t.Context(), im.ID))
}

func (l *lab) networkCard(t *testing.T) {
	file := filepath.Join(l.dir, "network.xml")
	must(t, os.WriteFile(file, []byte(`<network><name>island</name><bridge name="gvtest0"/></network>`), 0o600))
	l.virsh(t, "net-define", file)
	d := driver(t, l, func(c *libvirt.Config) { c.Network = "island" })
	im, content := tinyGuest()
	for _, active := range []bool{false, true} {
		if active {
			l.virsh(t, "net-start", "island")
		}
		s := spec(t, d, im, content, 0)
		s.Cards = fleet.Cards(s.Mark.ID, nil)
		must(t, d.Build(t.Context(), s))
		text := l.virsh(t, "dumpxml", s.Mark.ID.String())
		if has := strings.Contains(text, "<source network='island'/>"); has != active {
			t.Errorf("network active %v: card %v", active, has)
		}
		must(t, d.Act(t.Context(), s.Mark.ID, fleet.Start, drivers.ActOptions{}))
	}
}

func (l *lab) rotatedConsole(t *testing.T) {
	d := driver(t, l, nil)
	im, content := tinyGuest()
	s := spec(t, d, im, content, 0)
	must(t, d.Build(t.Context(), s))
	base := filepath.Join(l.pool(), "console-"+s.Mark.ID.String()+".log")
	for suffix, text := range map[string]string{".1": "oldest ", ".0": "older ", "": "newest"} {
		must(t, os.WriteFile(base+suffix, []byte(text), 0o600))
	}
	const whole = "oldest older newest"
	for offset := range len(whole) + 2 {
		if got, want := console(t, d, s.Mark.ID, int64(offset)), whole[min(offset, len(whole)):]; got != want {
			t.Errorf("from byte %d on: got %q, want %q", offset, got, want)
		}
	}
	must(t, d.Delete(t.Context(), s.Mark.ID))
	if left, _ := filepath.Glob(base + "*"); len(left) != 0 {
		t.Errorf("delete left %q", left)
	}
}

// The file that comes after one that was moved aside may be longer than that
// was by the time it is seen.
func (l *lab) followedConsole(t *testing.T) {
	d := driver(t, l, nil)
	im, content := tinyGuest()
	s := spec(t, d, im, content, 0)
	must(t, d.Build(t.Context(), s))
	base := filepath.Join(l.pool(), "console-"+s.Mark.ID.String()+".log")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := d.ConsoleLog(ctx, s.Mark.ID, fleet.LogRange{Follow: true})
	must(t, err)
	defer r.Close()
	says := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("it goes on with %q (%v), want %q", got, err, want)
		}
	}
	write := func(path, text string) { must(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(base, "begin\n")
	says("begin\n")
	for n := range 6 { // two more than are kept
		for i := 2; i > 0; i-- {
			_ = os.Rename(fmt.Sprint(base, ".", i-1), fmt.Sprint(base, ".", i))
		}
		end, next := fmt.Sprintf("the end of %d\n", n), fmt.Sprintf("this is file %d, and it is long already\n", n+1)
		file, err := os.OpenFile(base, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteString(end)
		must(t, errors.Join(err, file.Close()))
		must(t, os.Rename(base, base+".0"))
		write(base, next)
		says(end + next)
	}
}

func (l *lab) unboundedLog(t *testing.T) {
	d := driver(t, l, nil)
	_, err := d.Describe(t.Context()) // makes the pool
	must(t, err)
	file := filepath.Join(l.pool(), "console-"+randomID().String()+".log")
	found := func(mib int64) []drivers.Finding {
		must(t, os.WriteFile(file, nil, 0o600))
		must(t, os.Truncate(file, mib<<20))
		l.virsh(t, "pool-refresh", "grapevine")
		return slices.DeleteFunc(d.Diagnose(t.Context()), func(f drivers.Finding) bool { return f.Code != "console_log_unbounded" })
	}
	defer os.Remove(file)
	if got := found(2); len(got) != 0 {
		t.Errorf("of a log of 2 MiB: got %+v, want nothing", got)
	}
	got := found(17)
	if len(got) != 1 || got[0].Subject != filepath.Base(file) || !strings.Contains(got[0].Detail, "17 MiB") || got[0].Fix == "" {
		t.Errorf("of a log of 17 MiB: got %+v, want a finding that names it", got)
	}
	must(t, os.Remove(file))
	l.virsh(t, "pool-refresh", "grapevine")
}

func (l *lab) interruptedImport(t *testing.T) {
	im, content := tinyGuest()
	must(t, driver(t, l, nil).ImportImage(t.Context(), im, bytes.NewReader(content)))
	l.virsh(t, "vol-create-as", "grapevine", "image-of-mine", "4096")
	id := strings.Repeat("0123456789abcdef", 4)
	d := driver(t, l, nil)
	before, err := d.Images(t.Context()) // other tests' too
	must(t, err)
	for what, use := range map[string]func() error{
		"import": func() error { return d.ImportImage(t.Context(), im, bytes.NewReader(nil)) }, // already there: not read
		"start": func() error {
			_, err := driver(t, l, nil).Images(t.Context())
			return err
		},
	} {
		for _, left := range []string{"image-" + id + "-kernel", "image-" + id + ".json"} {
			l.virsh(t, "vol-create-as", "grapevine", left, "4096")
		}
		must(t, use())
		images, err := d.Images(t.Context())
		must(t, err)
		if diff := cmp.Diff(before, images); diff != "" {
			t.Errorf("after %s, beside the whole images (-want +got):\n%s", what, diff)
		}
		volumes := l.virsh(t, "vol-list", "grapevine")
		if strings.Contains(volumes, id) {
			t.Errorf("%s left the volumes of the interrupted import:\n%s", what, volumes)
		}
		if !strings.Contains(volumes, "image-of-mine") || !strings.Contains(volumes, "image-"+im.ID+".json") {
			t.Errorf("%s took what is not of an interrupted import:\n%s", what, volumes)
		}
	}
}

func (l *lab) fullPool(t *testing.T) {
	path := filepath.Join(l.dir, "small")
	must(t, os.Mkdir(path, 0o700))
	l.daemon(t, "exec", "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path)
	d := driver(t, l, func(c *libvirt.Config) { c.Pool, c.PoolPath = "small", path })
	im, content := tinyGuest()
	if err := d.ImportImage(t.Context(), im, bytes.NewReader(content)); !errors.Is(err, drivers.ErrOutOfSpace) {
		t.Errorf("got %v, want ErrOutOfSpace", err)
	}
	if left := l.daemon(t, "exec", "ls", path); left != "" {
		t.Errorf("the import left %q", left)
	}
	full := func() bool {
		t.Helper()
		desc, err := d.Describe(t.Context())
		must(t, err)
		return desc.StorageFull
	}
	if !full() {
		t.Error("a pool of 8 MiB is not said to be full")
	}
	l.daemon(t, "exec", "mount", "-o", "remount,size=1g", path)
	if full() {
		t.Error("a pool that somebody made larger is still said to be full")
	}
}

func (l *lab) hungDaemon(t *testing.T) {
	d := driver(t, l, nil)
	_, err := d.List(t.Context())
	must(t, err)
	l.daemon(t, "exec", "sh", "-c", "kill -STOP $(cat /run/libvirt/libvirtd.pid)")
	resume := func() { l.daemon(t, "exec", "sh", "-c", "kill -CONT $(cat /run/libvirt/libvirtd.pid)") }
	for _, fresh := range []bool{false, true} {
		if fresh {
			d = driver(t, l, nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		began := time.Now()
		_, err := d.List(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the call returned after %s", took)
		}
	}
	resume()
	_, err = d.List(t.Context())
	must(t, err)
}

func (l *lab) diagnoseBeforeAndAfter(t *testing.T) {
	d := driver(t, l, func(c *libvirt.Config) { c.Accelerator = libvirt.Auto })
	codes := func() []string {
		var all []string
		for _, f := range d.Diagnose(t.Context()) {
			if (f.Severity == drivers.SeverityOK) != (f.Fix == "") || f.Detail == "" || f.Subject == "" {
				t.Errorf("finding %+v does not say what was found and what to do", f)
			}
			all = append(all, f.Code)
		}
		return all
	}
	before := codes()
	desc, err := d.Describe(t.Context())
	must(t, err)
	after := codes()
	accelerator := "accelerator_ok"
	if slices.Contains(desc.Traits, "accelerator-tcg") {
		accelerator = "kvm_unusable"
	}
	if want := []string{"libvirt_ok", accelerator, "pool_missing", "network_inactive"}; !slices.Equal(before, want) {
		t.Errorf("before the first use: got %q, want %q", before, want)
	}
	if want := []string{"libvirt_ok", accelerator, "pool_ok", "network_inactive"}; !slices.Equal(after, want) {
		t.Errorf("after it: got %q, want %q", after, want)
	}
}

// memory holds libvirt's account against the kernel's, which is right also
// where memory was plugged in after boot.
func (l *lab) memory(t *testing.T) {
	desc, err := driver(t, l, nil).Describe(t.Context())
	must(t, err)
	text, err := os.ReadFile("/proc/meminfo")
	must(t, err)
	var kib int64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err != nil {
		t.Fatal(err)
	}
	if want := kib >> 10; desc.Total.MemoryMiB != want {
		t.Errorf("got %d MiB of memory, want %d", desc.Total.MemoryMiB, want)
	}
}

// testDriver goes to libvirt's own mock hypervisor, which is always there with
// one running machine named test.
func (l *lab) testDriver(t *testing.T) {
	d := driver(t, l, func(c *libvirt.Config) { c.URI = "test:///default" })
	events := make(chan drivers.Event, 64) // more than this test causes
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Watch(ctx, func(e drivers.Event) { events <- e }) }()
	<-events
	list, err := d.List(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].Name != "test" || list[0].Mark != nil || list[0].Power != fleet.PowerRunning || list[0].Resources.MemoryMiB != 8192 {
		t.Fatalf("got %+v", list)
	}
	id := list[0].ID
	must(t, d.Adopt(t.Context(), id, drivers.Mark{ID: id, Name: "mine"}))
	for _, step := range []struct {
		action fleet.InstanceAction
		want   fleet.Power
	}{{fleet.Pause, fleet.PowerPaused}, {fleet.Resume, fleet.PowerRunning}, {fleet.Stop, fleet.PowerStopped}, {fleet.Start, fleet.PowerRunning}} {
		must(t, d.Act(t.Context(), id, step.action, drivers.ActOptions{}))
		m, err := d.Inspect(t.Context(), id)
		must(t, err)
		if m.Power != step.want || m.Mark == nil {
			t.Errorf("after %s: %+v", step.action, m)
		}
		for e := range events {
			if e.ID == id {
				break
			}
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
}
