package simulated_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/drivers/drivertest"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

func TestConformance(t *testing.T) {
	for name, config := range map[string]simulated.Config{
		"kvm":  {Hypervisor: fleet.KVM},
		"xen":  {Hypervisor: fleet.Xen, Dir: t.TempDir()},
		"esxi": {Hypervisor: fleet.ESXi},
	} {
		t.Run(name, func(t *testing.T) { drivertest.Run(t, newHarness(t, config)) })
	}
}

func TestSequences(t *testing.T) {
	drivertest.SetSequences(t, 200, 30)
	for name, config := range map[string]simulated.Config{
		"kvm": {Hypervisor: fleet.KVM, Latency: &simulated.Latency{}}, "esxi": {Hypervisor: fleet.ESXi, Dir: t.TempDir(), Latency: &simulated.Latency{}},
	} {
		t.Run(name, func(t *testing.T) { drivertest.RunSequences(t, newHarness(t, config)) })
	}
}

func BenchmarkDriver(b *testing.B) {
	drivertest.RunBenchmarks(b, newHarness(b, simulated.Config{}))
}

type harness struct{ *simulated.Hypervisor }

func newHarness(tb testing.TB, config simulated.Config) harness {
	tb.Helper()
	h, err := simulated.New(config)
	check(tb, err)
	return harness{h}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (h harness) Open(testing.TB) drivers.Driver { return h.Connect() }
func (h harness) Facts() drivertest.Facts {
	return drivertest.Facts{Many: 5000, ListWithin: 5 * time.Second, Patience: 10 * time.Second}
}

func (h harness) Image() (fleet.Image, []byte) {
	content := []byte("a disk that nothing boots")
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "raw", VirtualBytes: 1 << 20}
	return fleet.Image{ID: f.SHA256, Name: "tiny", Files: []fleet.ImageFile{f}, Bytes: f.Bytes, CreatedAt: time.Unix(1700000000, 0).UTC()}, content
}

func (h harness) Define(tb testing.TB, name string) fleet.InstanceID {
	tb.Helper()
	id, err := h.Hypervisor.Define(simulated.Foreign{Name: name, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
	check(tb, err)
	return id
}

func (h harness) PowerOn(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	check(tb, h.Hypervisor.PowerOn(id))
}

func (h harness) PowerOff(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	check(tb, h.Hypervisor.PowerOff(id))
}

func (h harness) Remove(tb testing.TB, id fleet.InstanceID) {
	tb.Helper()
	check(tb, h.Hypervisor.Remove(id))
}

func (h harness) Guest(tb testing.TB, id fleet.InstanceID) string {
	tb.Helper()
	spec := drivers.Spec{Mark: drivers.Mark{ID: id}, Guest: h.Hypervisor.Guest(id)}
	for _, m := range h.Machines() {
		if m.ID == id {
			spec.Mark = *m.Mark
		}
	}
	doc := cloudinit.Of(&spec, spec.Cards)
	seed, err := doc.Seed()
	check(tb, err)
	return string(seed)
}
func (h harness) Maintain(_ testing.TB, on bool) { h.Hypervisor.Maintain(on) }
func (h harness) Fill(_ testing.TB, on bool)     { h.FillStorage(on) }

func (h harness) Cut(testing.TB)     { h.Hypervisor.Cut() }
func (h harness) Restore(testing.TB) { h.Hypervisor.Restore() }

func (h harness) Storage(tb testing.TB) []string {
	tb.Helper()
	var names []string
	for _, id := range h.Disks() {
		names = append(names, "disk "+id.String())
	}
	images, err := h.Connect().Images(tb.Context())
	check(tb, err)
	for _, im := range images {
		names = append(names, "image "+im.ID)
	}
	return slices.Clip(names)
}

func (h harness) WriteDisk(tb testing.TB, id fleet.InstanceID, disk string, offset int64, data []byte) {
	tb.Helper()
	check(tb, h.Hypervisor.WriteDisk(id, disk, offset, data))
}

// RawDisk takes raw disks as they are; of others only those are read that hold
// nothing.
func (h harness) RawDisk(_ testing.TB, format string, content []byte) []byte {
	if format == fleet.FormatRaw {
		return content
	}
	return nil
}
