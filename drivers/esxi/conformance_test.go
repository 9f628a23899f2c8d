package esxi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/drivertest"
	"grapevine/drivers/esxi"
	"grapevine/drivers/esxi/vcsim"
	"grapevine/fleet"
)

func TestConformance(t *testing.T) { drivertest.Run(t, newHarness(t)) }
func BenchmarkDriver(b *testing.B) { drivertest.RunBenchmarks(b, newHarness(b)) }

// TestSequences runs on several hosts side by side: most of its time is spent
// waiting for the simulator's updates.
func TestSequences(t *testing.T) {
	const hosts = 5
	// The simulator copies its objects for every read of one; a sixth of the
	// processor's time went into collecting the copies.
	collecting := debug.SetGCPercent(400)
	t.Cleanup(func() { debug.SetGCPercent(collecting) })
	drivertest.SetSequences(t, 200/hosts, 5)
	for i := range hosts {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			drivertest.RunSequences(t, harnessOn(t, vcsim.Config{}))
		})
	}
}

type harness struct{ host *vcsim.Host }

func newHarness(tb testing.TB) harness {
	tb.Helper()
	return harnessOn(tb, vcsim.Config{Foreign: 2})
}

func harnessOn(tb testing.TB, config vcsim.Config) harness {
	tb.Helper()
	host, err := vcsim.Start(config)
	check(tb, err)
	tb.Cleanup(host.Close)
	return harness{host}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (h harness) config() esxi.Config {
	return esxi.Config{URL: h.host.URL(), User: h.host.User(), Password: h.host.Password(), Thumbprint: h.host.Thumbprint()}
}

func (h harness) Open(tb testing.TB) drivers.Driver {
	tb.Helper()
	d, err := esxi.New(h.config())
	check(tb, err)
	return d
}

func (h harness) Facts() drivertest.Facts {
	return drivertest.Facts{Many: 100, ListWithin: 15 * time.Second, Patience: 20 * time.Second}
}

func (h harness) Image() (fleet.Image, []byte) { return vcsim.TinyImage() }

func (h harness) Define(tb testing.TB, name string) fleet.InstanceID {
	tb.Helper()
	id, err := h.host.Define(name)
	check(tb, err)
	return id
}

func (h harness) PowerOn(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	check(tb, h.host.PowerOn(id))
}

func (h harness) PowerOff(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	check(tb, h.host.PowerOff(id))
}

func (h harness) Remove(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	check(tb, h.host.Remove(id))
}

func (h harness) Guest(tb testing.TB, id fleet.InstanceID) string {
	tb.Helper()
	options, err := h.host.Options(id)
	check(tb, err)
	text := unpack(tb, options["guestinfo.metadata"])
	var meta struct{ Network string }
	check(tb, json.Unmarshal([]byte(text), &meta))
	return text + unpack(tb, meta.Network) + unpack(tb, options["guestinfo.userdata"])
}

// unpack is what VMware's tools and cloud-init make of a value.
func unpack(tb testing.TB, value string) string {
	tb.Helper()
	if value == "" {
		return ""
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	check(tb, err)
	r, err := gzip.NewReader(bytes.NewReader(raw))
	check(tb, err)
	content, err := io.ReadAll(r)
	check(tb, err)
	return string(content)
}

func (h harness) Maintain(tb testing.TB, on bool) {
	tb.Helper()
	check(tb, h.host.SetMaintenance(on))
}
func (h harness) Fill(_ testing.TB, on bool) { h.host.FillDatastore(on) }

func (h harness) Cut(testing.TB)     { h.host.Cut() }
func (h harness) Restore(testing.TB) { h.host.Restore() }

// Print is what the guest would do: the host appends it to the file of the
// machine's serial port.
func (h harness) Print(tb testing.TB, id fleet.InstanceID, text string) {
	tb.Helper()
	check(tb, h.host.Append("grapevine/machines/"+id.String()+"/console.log", text))
}

func (h harness) Storage(tb testing.TB) []string {
	tb.Helper()
	names, err := h.host.Files("grapevine")
	check(tb, err)
	// The two folders that hold the others stay once they are made.
	return slices.DeleteFunc(names, func(n string) bool { return n == "images" || n == "machines" })
}

func (h harness) WriteDisk(tb testing.TB, id fleet.InstanceID, disk string, offset int64, data []byte) {
	tb.Helper()
	file := disk + ".vmdk"
	if disk == "disk-0" {
		file = "disk.vmdk" // a copy of the image's
	}
	check(tb, h.host.WriteDisk("grapevine/machines/"+id.String()+"/"+file, offset, data))
}

func (h harness) RawDisk(_ testing.TB, _ string, content []byte) []byte { return content }
