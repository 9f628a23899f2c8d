package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

func TestHostSurvivesTheWire(t *testing.T) {
	since := time.UnixMilli(1_700_000_000_123).UTC()
	want := fleet.Host{
		ID: fleet.UUID{1}, Name: "alpha", Zone: "z1", Hypervisor: fleet.Xen, HypervisorVersion: "4.17",
		State:     fleet.HostCordoned,
		Capacity:  fleet.NewCapacity(fleet.Resources{VCPUs: 8, MemoryMiB: 1 << 20, DiskGiB: 9}, fleet.Resources{VCPUs: 1}, fleet.Resources{MemoryMiB: 2 << 20}),
		Instances: 3, Labels: map[string]string{"rack": "r12", "spare": ""}, Traits: []string{"pause"}, Networks: []string{"default", "VM Network"}, Images: []string{}, API: "10.0.0.1:7947", AgentVersion: "v1", Follows: 1, Audit: &fleet.AuditLink{Number: 9, Hash: "00ff"},
		Witnesses: &fleet.WitnessSet{Number: 2, Members: []fleet.HostID{{1}, {2}, {3}, {4}, {6}}, Old: []fleet.HostID{{1}, {2}, {3}, {4}, {5}}},
		Hardware:  "abc", HypervisorFault: "connection refused", HypervisorFaultSince: &since, ObservedAt: since,
	}
	body := wire.EncodeHost(want)
	got, err := wire.DecodeHost(want.ID, body.Bytes())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if again := wire.EncodeHost(got); !bytes.Equal(again.Bytes(), body.Bytes()) {
		t.Error("the encoding is not deterministic")
	}
}

func TestInstanceSurvivesTheWire(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	want := fleet.Instance{
		ID: fleet.UUID{2}, Host: fleet.UUID{1}, Name: "vm", Project: "p", Hypervisor: fleet.KVM, Ownership: fleet.Managed,
		Power: fleet.PowerPaused, Task: fleet.TaskResuming, Fault: "f", Flavor: "tiny", Image: "i",
		VCPUs: 1, MemoryMiB: 2, DiskGiB: 3, Addresses: []string{"10.0.0.9"}, CreatedAt: at, ObservedAt: at,
		Labels: map[string]string{"b": "2", "a": "1", "c": ""}, Generation: 7,
	}
	body := wire.EncodeInstance(want)
	got, err := wire.DecodeInstance(want.Host, want.ID, body.Bytes(), nil)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for range 20 {
		if again := wire.EncodeInstance(got); !bytes.Equal(again.Core, body.Core) {
			t.Fatal("the encoding is not deterministic")
		}
	}
	want.ObservedAt = at.Add(time.Hour)
	if later := wire.EncodeInstance(want); !bytes.Equal(later.Core, body.Core) {
		t.Error("the time of observation is part of the core")
	}
}

func TestEmptyListsAreNotNull(t *testing.T) {
	in, err := wire.DecodeInstance(fleet.UUID{}, fleet.UUID{}, nil, nil)
	if err != nil || in.Addresses == nil || in.Labels == nil || !in.CreatedAt.IsZero() {
		t.Errorf("an empty body gives %+v, %v", in, err)
	}
}

func TestNameThatIsNotTextIsMadeOne(t *testing.T) {
	body := wire.EncodeInstance(fleet.Instance{Name: "caf\xe9"})
	got, err := wire.DecodeInstance(fleet.UUID{}, fleet.UUID{}, body.Bytes(), nil)
	if got.Name != "caf\uFFFD" || err != nil {
		t.Errorf("the name came as %q, %v", got.Name, err)
	}
}

func TestImageSurvivesTheWire(t *testing.T) {
	sum := "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	want := fleet.Image{
		Stored: &fleet.ImageFile{Role: fleet.RoleDisk, SHA256: strings.Repeat("ef", 32), Bytes: 7, Format: "vmdk", VirtualBytes: 9},
		ID:     sum, Name: "tiny", Cmdline: "console=ttyS0", Bytes: 30, CreatedAt: time.UnixMilli(5).UTC(),
		Files: []fleet.ImageFile{
			{Role: fleet.RoleKernel, SHA256: sum, Bytes: 10},
			{Role: fleet.RoleDisk, SHA256: sum, Bytes: 20, Format: "raw", VirtualBytes: 40},
		},
	}
	got, err := wire.DecodeImage(want.ID, wire.EncodeImage(want).Bytes())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// messages are one of each kind.
func messages() []wire.Message {
	rows := &wire.Rows{Answer: true, Entries: []wire.Entry{{Tag: 0xfe000001, Epoch: 2, Incarnation: 1 << 63, Seq: 4}}}
	rows.Covers.AddBucket(0xfe)
	rows.Covers.Add(3)
	parts := &wire.PartDigests{Buckets: [32]byte{0: 1, 31: 2}, Digests: make([]uint64, 2*wire.PartsOfBucket)}
	return []wire.Message{
		&wire.Hello{
			Protocol: 1, MinProtocol: 1, Label: "l", ID: fleet.UUID{1}, Role: fleet.RoleAgent, Name: "n", Gossip: "g",
			Ready: true, Settled: true, Yours: &wire.Life{Epoch: 1, Incarnation: 2, Seq: 3, Hardware: "h", AgeMS: new(uint64)},
		},
		&wire.Bye{Reason: wire.ByeFull, Detail: "full"},
		&wire.Pulse{Number: 1, Ready: true, Echo: 7, HeldUS: 100, Root: 1 << 63},
		&wire.Peers{Tags: []wire.Tag{1, 1 << 31}},
		&wire.Beats{Items: []wire.Beat{{Tag: 1, Epoch: 2, Seq: 3, Number: 400, AgeMS: 5}}},
		&wire.Root{Root: 1 << 60},
		&wire.BucketDigests{Digests: make([]uint64, wire.Buckets)},
		&wire.BucketDigests{},
		parts,
		rows,
		&wire.Announce{Items: []wire.Announcement{{Tag: 1, Epoch: 2, Seq: 3}, {Tag: 0xffffffff, Epoch: 1 << 40, Seq: 1}}},
		&wire.Want{First: 6, Items: []wire.WantItem{
			{Tag: 1, Held: wire.HeldOtherLife, Epoch: 2, Incarnation: 3, Seq: 4, Hash: wire.Hash{5}},
			{Tag: 2},
			{Tag: 3, Held: wire.HeldSameLife, Epoch: 2, Seq: 300, Life: 0xbeef},
		}},
		&wire.Answer{Deltas: []wire.Delta{{
			Tag: wire.TagOf(fleet.UUID{1}), Form: wire.Whole,
			Head: wire.Head{Host: fleet.UUID{1}, Incarnation: 2, Epoch: 3, Seq: 4, Count: 2, Hash: wire.Hash{9}},
			Rows: []wire.Row{
				{Key: wire.HostKey(fleet.UUID{1}), Seq: 1, Body: []byte("host")},
				{Key: wire.Key{Kind: 77, ID: "x"}, Seq: 4, Body: bytes.Repeat([]byte("opaque "), 100)},
			},
			Signature: bytes.Repeat([]byte{7}, 64),
			Beat:      1, AgeMS: 2, Ask: 3,
		}}},
		&wire.Answer{Deltas: []wire.Delta{
			{
				Form: wire.Changes, Head: wire.Head{Seq: 4, Count: 1, Hash: wire.Hash{9}}, Ask: 1,
				Deletions: []wire.Deletion{{Key: wire.Key{Kind: 2, ID: "y"}, Seq: 3}},
			},
			{
				Form: wire.Changes, Head: wire.Head{Seq: 9, Count: 1, Hash: wire.Hash{9}}, Ask: 2,
				Rows: []wire.Row{{Key: wire.Key{Kind: 2, ID: "y"}, Seq: 9, Body: []byte("b")}},
			},
			{
				Form: wire.Changes, Head: wire.Head{Seq: 9, Count: 2, Hash: wire.Hash{9}}, Ask: 3, Signature: bytes.Repeat([]byte{1}, wire.MaxSignature),
				Rows:      []wire.Row{{Key: wire.CredentialKey(), Seq: 9, Body: []byte("a certificate")}},
				Deletions: []wire.Deletion{{Key: wire.Key{Kind: 2, ID: "y"}, Seq: 8}},
			},
		}},
	}
}

func TestEveryMessageSurvivesTheWire(t *testing.T) {
	var stream bytes.Buffer
	for _, m := range messages() {
		frame, err := wire.AppendFrame(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(frame)
	}
	reader := wire.NewReader(&stream)
	for _, want := range messages() {
		got, _, err := reader.Read()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%T: %v (-want +got):\n%s", want, err, diff)
		}
	}
}

func TestFramesThatTravelWithEveryChangeAreReadInMemoryThatIsThere(t *testing.T) {
	var frames []byte
	for _, m := range messages() {
		switch m.(type) {
		case *wire.Announce, *wire.Want, *wire.Answer:
			var err error
			if frames, err = wire.AppendFrame(frames, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	from := bytes.NewReader(nil)
	reader := wire.NewReader(from)
	allocated := testing.AllocsPerRun(100, func() {
		from.Reset(frames)
		for from.Len() > 0 {
			if _, _, err := reader.Read(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocated > 0 {
		t.Errorf("reading them again allocated %.0f times", allocated)
	}
}

func TestWholeBlocksAreCompressed(t *testing.T) {
	m := &wire.Answer{Deltas: []wire.Delta{{Form: wire.Whole, Rows: []wire.Row{{Body: make([]byte, 60<<10)}}}}}
	frame, err := wire.AppendFrame(nil, m)
	if err != nil || len(frame) > 4<<10 {
		t.Errorf("60 KiB of zeros take %d bytes, %v", len(frame), err)
	}
}

func TestFrameOfUnknownKindIsSkipped(t *testing.T) {
	got, n, err := wire.NewReader(bytes.NewReader([]byte{100, 3, 1, 2, 3})).Read()
	if got != nil || n != 5 || err != nil {
		t.Errorf("got %v, %d, %v", got, n, err)
	}
}

func TestLengthAloneAllocatesNothing(t *testing.T) {
	header := binary.AppendUvarint([]byte{11}, fleet.MaxBlockBytes)
	const reads = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range reads {
		_, _, err := wire.NewReader(bytes.NewReader(header)).Read()
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / reads; each > 128<<10 {
		t.Errorf("a length of 16 MiB with nothing behind it allocates %d bytes", each)
	}
}

func TestFrameLargerThanItsKindIsRefused(t *testing.T) {
	for kind, length := range map[byte]uint64{1: 5 << 10, 3: 100, 10: 70 << 10, 11: fleet.MaxBlockBytes * 2, 100: 2 << 20} {
		frame := binary.AppendUvarint([]byte{kind}, length)
		if _, _, err := wire.NewReader(bytes.NewReader(frame)).Read(); !errors.Is(err, wire.ErrBadFrame) {
			t.Errorf("kind %d of %d bytes: %v", kind, length, err)
		}
	}
}

func TestManyEmptyRowsAreRefusedBeforeTheyAreDecoded(t *testing.T) {
	head := append([]byte{1, byte(wire.Whole)}, make([]byte, 16+1+8+1+1+1+1+16)...)
	payload := append(binary.AppendUvarint(head, 100_000), make([]byte, 400_000)...) // rows of no bytes
	frame := append(binary.AppendUvarint([]byte{11}, uint64(len(payload))), payload...)
	if _, _, err := wire.NewReader(bytes.NewReader(frame)).Read(); !errors.Is(err, wire.ErrBadFrame) {
		t.Errorf("100,000 empty rows gave %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, m := range messages() {
		frame, err := wire.AppendFrame(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _, err := wire.NewReader(bytes.NewReader(b)).Read()
		if err != nil || m == nil {
			return
		}
		frame, err := wire.AppendFrame(nil, m)
		if err != nil {
			return // past a limit once unpacked
		}
		again, _, err := wire.NewReader(bytes.NewReader(frame)).Read()
		if diff := cmp.Diff(m, again); diff != "" || err != nil {
			t.Errorf("%T read, written and read again: %v\n%s", m, err, diff)
		}
	})
}

func FuzzDecodeBodies(f *testing.F) {
	f.Add(wire.EncodeHost(fleet.Host{Name: "h"}).Bytes())
	f.Add(wire.EncodeInstance(fleet.Instance{Name: "i", Labels: map[string]string{"a": "b"}}).Bytes())
	f.Add(wire.EncodeRecord(intent()).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := wire.DecodeRecord(fleet.UUID{}, b); err == nil {
			_ = wire.EncodeRecord(r)
		}
		if h, err := wire.DecodeHost(fleet.UUID{}, b); err == nil {
			_ = wire.EncodeHost(h)
		}
		if in, err := wire.DecodeInstance(fleet.UUID{}, fleet.UUID{}, b, nil); err == nil {
			_ = wire.EncodeInstance(in)
		}
		if im, err := wire.DecodeImage("", b); err == nil {
			_ = wire.EncodeImage(im)
		}
	})
}

// The bounds of frames hold what the size plan needs, at the largest numbers.
func TestBoundsHoldTheSizePlan(t *testing.T) {
	const most = 1<<64 - 1
	rows, announce, beats, want := &wire.Rows{}, &wire.Announce{}, &wire.Beats{}, &wire.Want{First: most}
	for i := range fleet.MaxHosts {
		tag := wire.Tag(i) | 0xf0000000
		rows.Entries = append(rows.Entries, wire.Entry{Tag: tag, Epoch: most, Incarnation: most, Seq: most})
		announce.Items = append(announce.Items, wire.Announcement{Tag: tag, Epoch: most, Seq: most})
		beats.Items = append(beats.Items, wire.Beat{Tag: tag, Epoch: most, Seq: most, Number: most, AgeMS: most})
	}
	for i := range 256 {
		want.Items = append(want.Items, wire.WantItem{Tag: wire.Tag(i), Held: wire.HeldOtherLife, Epoch: most, Incarnation: most, Seq: most, Hash: wire.Hash{1}})
	}
	block := wire.Delta{Tag: 1, Form: wire.Whole, Head: wire.Head{Host: fleet.UUID{1}}}
	for size := 0; len(block.Rows) < fleet.MaxRows; {
		row := wire.Row{Key: wire.Key{Kind: 1<<32 - 1, ID: string(make([]byte, wire.MaxKeyBytes))}, Seq: most, Body: make([]byte, 928)}
		if size += row.Size(); size > fleet.MaxBlockBytes {
			break
		}
		block.Rows = append(block.Rows, row)
	}
	for _, m := range []wire.Message{rows, announce, beats, want, &wire.Answer{Deltas: []wire.Delta{block}}} {
		if _, err := wire.AppendFrame(nil, m); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
}
