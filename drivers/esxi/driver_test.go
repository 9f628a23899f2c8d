package esxi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/esxi"
	"grapevine/drivers/esxi/vcsim"
	"grapevine/fleet"
)

// open returns a driver that is closed at the end of the test.
func open(t *testing.T, c esxi.Config) *esxi.Driver {
	t.Helper()
	d, err := esxi.New(c)
	check(t, err)
	t.Cleanup(func() { check(t, d.Close()) })
	return d
}

// built makes a machine with the grace of being running.
func built(t *testing.T, h harness, d *esxi.Driver) fleet.InstanceID {
	t.Helper()
	im, content := h.Image()
	check(t, d.ImportImage(t.Context(), im, bytes.NewReader(content)))
	spec := drivers.Spec{
		Mark:      drivers.Mark{ID: fleet.NewUUIDv5(fleet.UUID{}, t.Name()), Name: "web", Project: "p", Image: im.ID},
		Resources: fleet.Resources{VCPUs: 2, MemoryMiB: 256, DiskGiB: 3}, Image: im,
	}
	check(t, d.Build(t.Context(), spec))
	check(t, d.Act(t.Context(), spec.Mark.ID, fleet.Start, drivers.ActOptions{}))
	return spec.Mark.ID
}

func TestLostLoginIsRenewed(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	id := built(t, h, d)
	events := make(chan drivers.Event, 100)
	go func() { _ = d.Watch(t.Context(), func(e drivers.Event) { events <- e }) }()
	begins := func() {
		t.Helper()
		timeout := time.After(30 * time.Second)
		for {
			select {
			case e := <-events:
				if e.ID.IsZero() {
					return
				}
			case <-timeout:
				t.Fatal("Watch did not begin")
			}
		}
	}
	begins()
	check(t, h.host.ExpireSessions())
	check(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}))
	check(t, h.host.ExpireSessions())
	if m, err := d.Inspect(t.Context(), id); err != nil || m.Power != fleet.PowerStopped {
		t.Errorf("got %s, %v; want stopped", m.Power, err)
	}
	begins() // again, by itself: with the zero Event, for what it may have missed
}

func TestWrongPasswordIsTriedOnce(t *testing.T) {
	h := newHarness(t)
	var log bytes.Buffer
	c := h.config()
	c.Password = "hunter2"
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	d := open(t, c)
	for i := range 3 {
		_, err := d.List(t.Context())
		if !errors.Is(err, drivers.ErrUnavailable) || !strings.Contains(err.Error(), "check user and password") {
			t.Errorf("got %v, want ErrUnavailable that tells of the password", err)
		}
		if i > 0 && !strings.Contains(err.Error(), "not tried again") {
			t.Errorf("try %d: the login was tried again: %v", i, err)
		}
		if strings.Contains(err.Error()+log.String(), c.Password) {
			t.Errorf("the password is shown: %v, %s", err, log.String())
		}
	}
}

func TestCertificateMustBeTheOneThatIsTrusted(t *testing.T) {
	h := newHarness(t)
	right := h.host.Thumbprint()
	for name, tt := range map[string]struct {
		thumbprint string
		insecure   bool
		works      bool
	}{
		"right thumbprint": {right, false, true},
		"lower case":       {strings.ToLower(right), false, true},
		"wrong thumbprint": {"00" + right[2:], false, false},
		"wrong, insecure":  {"00" + right[2:], true, false},
		"no thumbprint":    {"", false, false},
		"insecure":         {"", true, true},
	} {
		c := h.config()
		c.Thumbprint, c.Insecure = tt.thumbprint, tt.insecure
		_, err := open(t, c).Describe(t.Context())
		if works := err == nil; works != tt.works || !works && !errors.Is(err, drivers.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDatastoreAndNetworkAreNamedWhenMissing(t *testing.T) {
	h := newHarness(t)
	for key, c := range map[string]esxi.Config{"datastore": {Datastore: "nosuch"}, "network": {Network: "nosuch"}} {
		full := h.config()
		full.Datastore, full.Network = c.Datastore, c.Network
		_, err := open(t, full).Describe(t.Context())
		if err == nil || !strings.Contains(err.Error(), "set the key "+key) {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

func TestOnlySparseDisksAreImported(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	text := "# Disk DescriptorFile\nversion=1\nRW 2048 FLAT \"x-flat.vmdk\" 0\n"
	sum := sha256.Sum256([]byte(text))
	digest := hex.EncodeToString(sum[:])
	tiny, content := h.Image()
	wrongSize := tiny
	wrongSize.Files = []fleet.ImageFile{tiny.Files[0]}
	wrongSize.Files[0].VirtualBytes++
	for name, tt := range map[string]struct {
		files   []fleet.ImageFile
		content string
		want    error
	}{
		"raw":        {[]fleet.ImageFile{{Role: fleet.RoleDisk, SHA256: digest, Bytes: int64(len(text)), Format: "raw"}}, text, drivers.ErrUnsupported},
		"kernel":     {[]fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: digest, Bytes: int64(len(text))}}, text, drivers.ErrUnsupported},
		"descriptor": {[]fleet.ImageFile{{Role: fleet.RoleDisk, SHA256: digest, Bytes: int64(len(text)), Format: "vmdk"}}, text, drivers.ErrUnsupported},
		"wrong size": {wrongSize.Files, string(content), drivers.ErrBadImage},
	} {
		im := fleet.Image{Name: name, Files: tt.files}
		im.ID = fleet.ImageID(im.Files, "")
		if err := d.ImportImage(t.Context(), im, strings.NewReader(tt.content)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	if left := h.Storage(t); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestGuestWithToolsIsAskedToStop(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	id := built(t, h, d)
	check(t, h.host.Configure(id, "SET.guest.toolsRunningStatus", "guestToolsRunning"))
	check(t, d.Act(t.Context(), id, fleet.Reboot, drivers.ActOptions{Grace: time.Minute}))
	began := time.Now()
	check(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{Grace: time.Minute}))
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("stop took %s, although the guest stopped at once", took)
	}
	if m, err := d.Inspect(t.Context(), id); err != nil || m.Power != fleet.PowerStopped || m.Resources != (fleet.Resources{VCPUs: 2, MemoryMiB: 256, DiskGiB: 3}) {
		t.Errorf("got %+v, %v", m, err)
	}
	log, err := h.host.ReadFile("grapevine/machines/" + id.String() + "/vmware.log")
	if text := string(log); err != nil || !strings.Contains(text, "requesting poweredOn") || strings.Contains(text, "requesting poweredOff") {
		t.Errorf("the host powered it off itself: %v\n%s", err, text)
	}
}

func TestDeletedAdoptedMachineKeepsItsFiles(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	id := h.Define(t, "precious")
	h.PowerOn(t, id)
	check(t, d.Adopt(t.Context(), id, drivers.Mark{ID: id, Name: "precious"}))
	check(t, d.Delete(t.Context(), id))
	if _, err := d.Inspect(t.Context(), id); !errors.Is(err, drivers.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	files, err := h.host.Files("precious")
	if err != nil || !strings.Contains(strings.Join(files, " "), "precious.vmx") {
		t.Errorf("files %v, %v; want them all", files, err)
	}
}

func TestHostsOfOneProcessShowTheirOwn(t *testing.T) {
	hosts := map[fleet.HostID]bool{}
	machines := map[fleet.InstanceID]bool{}
	for i := range 3 {
		want := fleet.Resources{VCPUs: int64(4 + i), MemoryMiB: 4096, DiskGiB: 100}
		id := fleet.NewUUIDv5(fleet.UUID{}, strings.Repeat("h", i+1))
		host, err := vcsim.Start(vcsim.Config{UUID: id, Resources: want, Foreign: 2})
		check(t, err)
		t.Cleanup(host.Close)
		d := open(t, harness{host}.config())
		desc, err := d.Describe(t.Context())
		check(t, err)
		if desc.HostID != id || desc.Hardware != id.String() || desc.Total != want {
			t.Errorf("got %+v, want host %s with %+v", desc, id, want)
		}
		list, err := d.List(t.Context())
		check(t, err)
		for _, m := range list {
			if m.Power != fleet.PowerRunning || m.Mark != nil {
				t.Errorf("got %+v, want a running foreign machine", m)
			}
			machines[m.ID] = true
		}
		hosts[desc.HostID] = true
	}
	if len(hosts) != 3 || len(machines) != 6 {
		t.Errorf("%d hosts and %d machines of their own, want 3 and 6", len(hosts), len(machines))
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	h := newHarness(t)
	d, err := esxi.New(h.config())
	check(t, err)
	began, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.Watch(t.Context(), func(drivers.Event) { close(began) }) }()
	<-began
	check(t, d.Close())
	if err := <-ended; !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("Watch ended with %v, want ErrUnavailable", err)
	}
	if _, err := d.List(t.Context()); !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("list after Close: got %v, want ErrUnavailable", err)
	}
}

// A log that grows past what is kept shows its newest part, across logins that
// end between two pieces.
func TestConsoleLogKeepsTheNewest(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	id := built(t, h, d)
	h.Print(t, id, "old news\n"+strings.Repeat("0123456789abcde\n", 1<<16)+"the end\n")
	for _, login := range []int{1, 5, 9} {
		h.host.ExpireAt(login)
		r, err := d.ConsoleLog(t.Context(), id, fleet.LogRange{})
		check(t, err)
		all, err := io.ReadAll(r)
		check(t, err)
		if len(all) != 1<<20 || strings.Contains(string(all), "old news") || !strings.HasSuffix(string(all), "\nthe end\n") {
			t.Errorf("got %d bytes that end in %q", len(all), all[max(len(all)-20, 0):])
		}
	}
	foreign := h.Define(t, "silent")
	if _, err := d.ConsoleLog(t.Context(), foreign, fleet.LogRange{}); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("a machine that records no console: got %v, want ErrUnsupported", err)
	}
}
