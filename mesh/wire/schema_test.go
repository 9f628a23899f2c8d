package wire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"grapevine/fleet"
	"grapevine/mesh/wire"
	"grapevine/mesh/wire/wirepb"
)

// The body of an instance is written by hand; the schema is what it is.
func TestInstanceIsAsItsSchemaSays(t *testing.T) {
	text := func(s string) *wirepb.Text { return &wirepb.Text{Text: s} }
	in := fleet.Instance{
		Name: "vm", Project: "project", Hypervisor: fleet.Xen, Ownership: fleet.Foreign, Power: fleet.PowerStopped, Task: fleet.TaskResizing,
		Fault: "fault", Flavor: "flavor", Image: "00112233445566778899aabbccddeeff", Rescue: "rescuer", VCPUs: 1, MemoryMiB: 2, DiskGiB: 3,
		Addresses: []string{"10.0.0.1", "fe80::1", "somewhere"}, Labels: map[string]string{"k": "v", "e": ""}, Generation: 4,
		SupersededBy: fleet.UUID{1}, Twin: fleet.UUID{2}, Group: fleet.UUID{3}, Autostart: fleet.AutostartNever, StartOrder: 7,
		CreatedAt: time.UnixMilli(5), ObservedAt: time.UnixMilli(6),
	}
	want := &wirepb.Instance{
		Name: "vm", Project: text("project"), Hypervisor: 2, Ownership: 2, Power: 4, Task: 10,
		Fault: text("fault"), Flavor: text("flavor"),
		Image:  &wirepb.Text{Hex: []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}},
		Rescue: text("rescuer"),
		Vcpus:  1, MemoryMib: 2, DiskGib: 3,
		Addresses: [][]byte{{10, 0, 0, 1}, {0: 0xfe, 1: 0x80, 15: 1}}, AddressTexts: []string{"somewhere"},
		Labels: []*wirepb.Label{{Key: text("e")}, {Key: text("k"), Value: text("v")}}, Generation: 4,
		SupersededBy: append([]byte{1}, make([]byte, 15)...), Twin: append([]byte{2}, make([]byte, 15)...), Group: append([]byte{3}, make([]byte, 15)...), Autostart: "never", StartOrder: 7, CreatedAtMs: 5, ObservedAtMs: 6,
	}
	var got wirepb.Instance
	if err := proto.Unmarshal(wire.EncodeInstance(in).Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	in.Power, in.Task, in.Hypervisor, in.Ownership = "dreaming", "dancing", "hyperlight", "shared"
	got.Reset()
	if err := proto.Unmarshal(wire.EncodeInstance(in).Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.PowerWord != "dreaming" || got.TaskWord != "dancing" || got.HypervisorWord != "hyperlight" || got.OwnershipWord != "shared" {
		t.Errorf("words without numbers came as %v", &got)
	}
	back, err := wire.DecodeInstance(in.Host, in.ID, wire.EncodeInstance(in).Bytes(), nil)
	if err != nil || back.Power != in.Power || back.Task != in.Task {
		t.Errorf("they are read as %q and %q, %v", back.Power, back.Task, err)
	}
}

// A text is said in its shortest form and comes back as it was.
func TestTextsComeBackAsTheyWere(t *testing.T) {
	for s, size := range map[string]int{
		"":                                     2,
		"plain":                                7,
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8": 18,
		"6BA7B810-9DAD-11D1-80B4-00C04FD430C8": 38,
		"00112233445566778899aabbccddeeff":     18,
		"00112233445566778899AABBCCDDEEFF":     34,
		"0011223344556677889":                  21,
		"deadbeef":                             10,
	} {
		encoded := wire.EncodeText(s)
		if len(encoded) != size {
			t.Errorf("%q takes %d bytes, want %d", s, len(encoded), size)
		}
		if s == "" {
			continue // nothing is interned of it
		}
		body := wire.Intern(wire.KindInstance, wire.EncodeInstance(fleet.Instance{Project: s}).Core, func([]byte) (int, bool) { return 1, true })
		in, err := wire.DecodeInstance(fleet.UUID{}, fleet.UUID{}, body, one(encoded))
		if err != nil || in.Project != s {
			t.Errorf("%q came back as %q, %v", s, in.Project, err)
		}
		f := wire.Filter{Project: s}
		if !f.Match(body, one(encoded)) {
			t.Errorf("%q is not found", s)
		}
	}
}

// one is a table with one entry.
type one []byte

func (o one) Entry(number uint64) ([]byte, bool) { return o, number == 1 }
