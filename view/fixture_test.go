package view

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"testing"
	"time"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/mesh"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// A view is all that the API reads from, and a mesh all that a view reads from.
var (
	_ api.Reader     = (*View)(nil)
	_ api.MeshReader = (*View)(nil)
	_ Source         = (*mesh.Mesh)(nil)
)

// fakeMesh is a member of a mesh whose news the test brings: its replica is
// real, and each host's blocks come from a real origin.
type fakeMesh struct {
	t       testing.TB
	replica *replica.Replica
	origins map[fleet.HostID]*replica.Origin
	states  map[fleet.HostID]mesh.State
	beats   map[fleet.HostID]uint64
	hints   map[fleet.HostID][]fleet.Version // by observer: what it last heard of whom it lost
	clock   time.Time

	mu      sync.Mutex
	members []fleet.Member
	changed chan struct{}
	links   []fleet.Link
	wanted  map[fleet.HostID]fleet.Version
	keys    func(fleet.GossipKeyChange) (fleet.GossipKeyReport, error)
}

func newFakeMesh(tb testing.TB) *fakeMesh {
	tb.Helper()
	return &fakeMesh{
		t: tb, replica: replica.New(), changed: make(chan struct{}),
		origins: map[fleet.HostID]*replica.Origin{}, states: map[fleet.HostID]mesh.State{}, beats: map[fleet.HostID]uint64{},
		hints:  map[fleet.HostID][]fleet.Version{},
		wanted: map[fleet.HostID]fleet.Version{}, clock: time.Unix(1_800_000_000, 0),
	}
}

func (m *fakeMesh) Replica() *replica.Replica { return m.replica }

func (m *fakeMesh) Members() []fleet.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]fleet.Member(nil), m.members...)
}

func (m *fakeMesh) MembersChanged() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *fakeMesh) LinkList() []fleet.Link { return append([]fleet.Link(nil), m.links...) }

func (m *fakeMesh) Wanted(id fleet.HostID) fleet.Version { return m.wanted[id] }

// RTT says 1.5 ms between any two, and Ping 2 ms to any.
func (m *fakeMesh) RTT(a, b fleet.UUID) (fleet.RoundTrip, error) {
	return fleet.RoundTrip{From: a, To: b, RTTMS: 1.5}, nil
}

func (m *fakeMesh) Ping(_ context.Context, id fleet.UUID) (fleet.RoundTrip, error) {
	return fleet.RoundTrip{To: id, RTTMS: 2, Measured: true}, nil
}

// Keys answers as the test says.
func (m *fakeMesh) Keys(_ context.Context, change fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	return m.keys(change)
}

func (m *fakeMesh) now() time.Time { return m.clock }

// member sets what the failure detector says of an agent; "" removes it.
func (m *fakeMesh) member(id fleet.UUID, status fleet.MemberStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.members[:0:0]
	for _, old := range m.members {
		if old.ID != id {
			rest = append(rest, old)
		}
	}
	if status != "" {
		rest = append(rest, fleet.Member{ID: id, Role: fleet.RoleAgent, Status: status})
	}
	m.members = rest
	close(m.changed)
	m.changed = make(chan struct{})
}

// publish makes the state the host's next block. The first time, the host
// becomes an alive member.
func (m *fakeMesh) publish(s mesh.State) fleet.Version {
	m.t.Helper()
	id := s.Host.ID
	if m.origins[id] == nil {
		m.origins[id] = replica.NewOrigin(id)
		m.origins[id].Begin(1, 77)
		m.member(id, fleet.MemberAlive)
	}
	m.states[id] = s
	rows := ownRows(s.Host)
	for _, in := range s.Instances {
		rows = append(rows, ownInstance(in))
	}
	for _, im := range s.Images {
		key, ok := wire.ImageKey(im.ID)
		if !ok {
			m.t.Fatalf("image id %q", im.ID)
		}
		rows = append(rows, replica.OwnRow{Key: key, Body: wire.EncodeImage(im)})
	}
	for _, r := range s.Records {
		rows = append(rows, replica.OwnRow{Key: wire.RecordKey(r.ID), Body: wire.EncodeRecord(r)})
	}
	for _, heard := range m.hints[id] {
		hint := fleet.Hint{Subject: heard.Host, Heard: heard}
		rows = append(rows, replica.OwnRow{Key: wire.HintKey(heard.Host), Body: wire.EncodeHint(hint)})
	}
	b, _, err := m.origins[id].Next(rows)
	if err != nil {
		m.t.Fatal(err)
	}
	m.replica.Install(b, m.clock)
	m.beats[id]++
	m.replica.Heard(id, replica.Sign{Epoch: 1, Beat: m.beats[id], AgeMS: 100, At: m.clock})
	return b.Version()
}

// ownRows is a host without machines as its origin states it.
func ownRows(h fleet.Host) []replica.OwnRow {
	return []replica.OwnRow{{Key: wire.HostKey(h.ID), Body: wire.EncodeHost(h)}}
}

// ownInstance is a machine as its host's origin states it.
func ownInstance(in fleet.Instance) replica.OwnRow {
	return replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: wire.EncodeInstance(in)}
}

// change publishes a host's state with a change.
func (m *fakeMesh) change(id fleet.HostID, f func(*mesh.State)) {
	m.t.Helper()
	s := m.states[id]
	s.Instances = append([]fleet.Instance(nil), s.Instances...)
	f(&s)
	m.publish(s)
}

// hint makes an observer say that it no longer hears these, whose newest
// versions it holds, and nobody else.
func (m *fakeMesh) hint(observer fleet.HostID, subjects ...fleet.HostID) {
	m.t.Helper()
	var heard []fleet.Version
	for _, id := range subjects {
		heard = append(heard, m.replica.Version(id))
	}
	m.hintAt(observer, heard...)
}

// hintAt is hint with the versions that the observer holds.
func (m *fakeMesh) hintAt(observer fleet.HostID, heard ...fleet.Version) {
	m.t.Helper()
	m.hints[observer] = heard
	m.change(observer, func(*mesh.State) {})
}

// view returns a view of the mesh with the built-in flavors, whose clock is
// the mesh's.
func (m *fakeMesh) view() *View {
	noTLS := func(fleet.UUID) *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13} }
	return New(Config{Source: m, Flavors: fleet.BuiltinFlavors(), Peers: client.NewPeers(noTLS, nil), Now: m.now})
}

func uuid(n byte) fleet.UUID { return fleet.UUID{n, 15: 1} }

func host(n byte, name string) fleet.Host {
	return fleet.Host{
		ID: uuid(n), Name: name, Zone: "z1", Hypervisor: fleet.KVM, State: fleet.HostOK, API: "127.0.0.1:1",
		Capacity: fleet.NewCapacity(fleet.Resources{VCPUs: 8, MemoryMiB: 16384, DiskGiB: 100}, fleet.Resources{}, fleet.Resources{}),
		Traits:   []string{"boot-disk", "boot-kernel"},
	}
}

func instance(n byte, name string) fleet.Instance {
	return fleet.Instance{ID: uuid(n), Name: name, Project: "default", Ownership: fleet.Managed, Power: fleet.PowerRunning, VCPUs: 1, MemoryMiB: 512, Generation: 1}
}

// diskImage returns an image whose digest begins with n.
func diskImage(n byte, name string, virtual int64) fleet.Image {
	const digits = "0123456789abcdef"
	sum := make([]byte, 64)
	for i := range sum {
		sum[i] = digits[n%16]
	}
	files := []fleet.ImageFile{{Role: fleet.RoleDisk, SHA256: string(sum), Bytes: 1000, Format: "qcow2", VirtualBytes: virtual}}
	return fleet.Image{ID: fleet.ImageID(files, ""), Name: name, Files: files, Bytes: 1000, CreatedAt: time.Unix(1_700_000_000, 0).UTC()}
}

// wantCode fails unless err is a *fleet.Error with this code, and returns it.
func wantCode(t *testing.T, err error, code fleet.Code) *fleet.Error {
	t.Helper()
	var e *fleet.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("error = %v (code %q); want code %q", err, fleet.CodeOf(err), code)
	}
	return e
}

// ids lists rows as "instance@host", by the numbers that uuid was given.
func ids(rows []fleet.Instance) [][2]byte {
	out := [][2]byte{}
	for _, r := range rows {
		out = append(out, [2]byte{r.ID[0], r.Host[0]})
	}
	return out
}

// get returns an instance or fails.
func get(t *testing.T, v *View, id fleet.InstanceID) fleet.Instance {
	t.Helper()
	row, err := v.Instance(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}
