package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
	"grapevine/view"
)

// world is a fleet whose agents are fakes behind real HTTPS, and whose
// certificates are real.
type world struct {
	t      *testing.T
	ca     *identity.CA
	image  fleet.Image
	agents []*fakeAgent
}

func newWorld(t *testing.T, hosts int) *world {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files := []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: strings.Repeat("a", 64), Bytes: 4}}
	w := &world{t: t, ca: ca, image: fleet.Image{ID: fleet.ImageID(files, ""), Name: "tiny", Files: files, Bytes: 4}}
	for n := range hosts {
		w.agents = append(w.agents, w.newAgent(byte(n+1)))
	}
	return w
}

func (w *world) identity(role identity.Role, id fleet.UUID) *identity.Identity {
	w.t.Helper()
	pair, err := w.ca.Issue(identity.Subject{Role: role, ID: id, Name: string(role)}, time.Hour, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	self, err := identity.New(w.ca.CertPEM(), pair, time.Now(), role)
	if err != nil {
		w.t.Fatal(err)
	}
	return self
}

// fakeAgent does what the registry relies on and keeps the rules of a real one:
// a claim is idempotent by id and hash, a refusal covers every earlier attempt,
// and a key's first record wins.
type fakeAgent struct {
	api.Core // what is not overridden is not called
	api.Node // the same
	row      fleet.Host
	server   *http.Server

	mu      sync.Mutex
	slots   int // instances that it still takes
	claims  map[fleet.InstanceID]string
	refused map[fleet.InstanceID]uint32
	deleted map[fleet.InstanceID]bool
	keys    map[fleet.InstanceID]fleet.KeyRecord
	witness fakeWitness
	asked   int    // proposals that arrived
	ahead   uint64 // by how much its promises are later than its second block
	// beforeClaim and afterClaim, if set, run outside the lock around a claim.
	beforeClaim, afterClaim func(context.Context, fleet.Proposal)
	// afterKey, if set, runs outside the lock after a change of a key.
	afterKey func(fleet.KeyAnswer)
	// makes and ends answer for the agent where groups are made and ended.
	makes  func(fleet.CreateGroup) (fleet.Group, error)
	ends   func(fleet.RecordKind, fleet.ObjectRef, string) (fleet.Decided, error)
	stored []byte
	parts  map[string][]byte // of uploads, by image
	empty  atomic.Bool       // it has no instance
	acted  []fleet.InstanceAction
	// devices is what each of its machines has; sized is how often it was asked for
	// more for one.
	devices []fleet.Device
	sized   int
}

func (w *world) newAgent(n byte) *fakeAgent {
	w.t.Helper()
	a := &fakeAgent{
		slots: 1000, claims: map[fleet.InstanceID]string{}, refused: map[fleet.InstanceID]uint32{}, deleted: map[fleet.InstanceID]bool{}, keys: map[fleet.InstanceID]fleet.KeyRecord{},
		row: fleet.Host{
			ID: fleet.UUID{n, 15: 1}, Name: "host" + string('a'+rune(n-1)), Hypervisor: fleet.KVM, State: fleet.HostOK, Traits: []string{"boot-kernel"},
			Capacity: fleet.NewCapacity(fleet.Resources{VCPUs: 100, MemoryMiB: 1 << 20, DiskGiB: 100}, fleet.Resources{}, fleet.Resources{}),
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	a.row.API = listener.Addr().String()
	who := func(r *http.Request) api.Principal {
		subject, err := identity.PeerOf(*r.TLS)
		if err != nil || subject.Role != identity.Registry {
			return api.Principal{}
		}
		return api.Principal{Role: api.AsRegistry, ID: subject.ID}
	}
	handler := api.NewHandler(a, api.Options{Node: a, Principal: who})
	a.server = api.NewServer(handler, slog.New(slog.DiscardHandler))
	secure := tls.NewListener(listener, w.identity(identity.Agent, a.row.ID).ServerTLS("http/1.1"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.server.Serve(secure)
	}()
	w.t.Cleanup(func() {
		_ = a.server.Close()
		<-done
	})
	return a
}

// Claim implements api.Node.
func (a *fakeAgent) Claim(ctx context.Context, p fleet.Proposal) (fleet.Accepted, error) {
	if before := a.hook(&a.beforeClaim); before != nil {
		before(ctx, p)
	}
	accepted, err := a.judge(p)
	if after := a.hook(&a.afterClaim); after != nil {
		after(ctx, p)
	}
	return accepted, err
}

func (a *fakeAgent) hook(f *func(context.Context, fleet.Proposal)) func(context.Context, fleet.Proposal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return *f
}

func (a *fakeAgent) judge(p fleet.Proposal) (fleet.Accepted, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	hash, claimed := a.claims[p.ID]
	switch {
	case claimed && hash == p.RequestHash:
	case claimed:
		return fleet.Accepted{}, a.refusal(fleet.Refusal{Code: fleet.RefuseDuplicate, Detail: "it has this id for another request"})
	case p.Attempt <= a.refused[p.ID]:
		return fleet.Accepted{}, a.refusal(fleet.Refusal{Code: fleet.RefuseDuplicate, Detail: "it refused this attempt before"})
	case a.slots == 0:
		a.refused[p.ID] = p.Attempt
		return fleet.Accepted{}, a.refusal(fleet.Refusal{Code: fleet.RefuseCapacity, Resource: "memory_mib", Need: p.MemoryMiB, Detail: "it is full"})
	default:
		a.slots--
		a.claims[p.ID] = p.RequestHash
	}
	return fleet.Accepted{
		Instance:  fleet.Instance{ID: p.ID, Host: a.row.ID, Name: p.Name, Task: fleet.TaskBuilding},
		Operation: fleet.OperationID(a.row.ID, 1), Version: a.promise(),
	}, nil
}

// refusal comes with the fresh row, on which there is nothing left.
func (a *fakeAgent) refusal(r fleet.Refusal) error {
	row := a.row
	row.Capacity = fleet.NewCapacity(fleet.Resources{VCPUs: 100, MemoryMiB: 1 << 20}, fleet.Resources{}, fleet.Resources{VCPUs: 100, MemoryMiB: 1 << 20})
	row.Version = fleet.Version{Host: row.ID, Epoch: 1, Seq: 50}
	return &fleet.Error{Code: fleet.CodeRefused, Detail: "host " + row.Name + " refuses", Refusals: []fleet.Refusal{r}, Host: &row}
}

// Withdraw implements api.Node.
func (a *fakeAgent) Withdraw(_ context.Context, id fleet.InstanceID, ask fleet.Withdraw) (fleet.Withdrawn, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, there := a.claims[id]
	if there || !a.deleted[id] && !ask.Surely {
		return fleet.Withdrawn{There: there}, nil
	}
	a.refused[id] = max(a.refused[id], ask.Attempt)
	return fleet.Withdrawn{Refused: true}, nil
}

// Key implements api.Node.
func (a *fakeAgent) Key(_ context.Context, id fleet.InstanceID) (fleet.KeyRecord, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	record, ok := a.keys[id]
	if !ok {
		return fleet.KeyRecord{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: "no such key"}
	}
	return record, nil
}

// ChangeKey implements api.Node.
func (a *fakeAgent) ChangeKey(_ context.Context, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	a.mu.Lock()
	held := a.keys[id]
	store := held.Attempt == 0 && change.IfAttempt == 0 || change.Record.Succeeds(&held, change.IfAttempt)
	if store {
		a.keys[id], held = change.Record, change.Record
	}
	after := a.afterKey
	a.mu.Unlock()
	answer := fleet.KeyAnswer{Record: held, Stored: store}
	if after != nil {
		after(answer)
	}
	return answer, nil
}

// ActInstance implements api.Core.
func (a *fakeAgent) ActInstance(_ context.Context, id fleet.InstanceID, action fleet.InstanceAction, _ api.ActOptions) (fleet.Accepted, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acted = append(a.acted, action)
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: action.Task()}, Version: a.promise()}, nil
}

// promise is the version at which it tells of what it promises. The caller holds mu.
func (a *fakeAgent) promise() fleet.Version {
	return fleet.Version{Host: a.row.ID, Epoch: 1, Seq: 2 + a.ahead}
}

// Devices implements api.Core.
func (a *fakeAgent) Devices(_ context.Context, id fleet.InstanceID) (fleet.DeviceList, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.devices == nil {
		return fleet.DeviceList{}, &fleet.Error{Code: fleet.CodeUnsupported, Detail: "it tells no devices"}
	}
	return fleet.DeviceList{Instance: id, Items: a.devices}, nil
}

// ChangeDevice implements api.Core.
func (a *fakeAgent) ChangeDevice(_ context.Context, id fleet.InstanceID, change fleet.DeviceChange) (fleet.Accepted, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if change.Device.SizeGiB > 0 {
		a.sized++
	}
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskAttaching}, Version: a.promise()}, nil
}

// SetSize implements api.Node.
func (a *fakeAgent) SetSize(_ context.Context, id fleet.InstanceID, size fleet.Size) (fleet.Accepted, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sized++
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskResizing, Flavor: size.Flavor, MemoryMiB: size.MemoryMiB}, Version: a.promise()}, nil
}

// RescueInstance implements api.Core.
func (a *fakeAgent) RescueInstance(_ context.Context, id fleet.InstanceID, ask fleet.Rescue, key string) (fleet.Accepted, error) {
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskRescuing, Rescue: ask.Image, Name: key}}, nil
}

// UnrescueInstance implements api.Core.
func (a *fakeAgent) UnrescueInstance(_ context.Context, id fleet.InstanceID, key string) (fleet.Accepted, error) {
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskUnrescuing, Name: key}}, nil
}

// RebuildInstance implements api.Core.
func (a *fakeAgent) RebuildInstance(_ context.Context, id fleet.InstanceID, ask fleet.Rebuild, key string) (fleet.Accepted, error) {
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskRebuilding, Image: ask.Image, Name: ask.Hostname + " " + key}}, nil
}

// MigrateInstance implements api.Core.
func (a *fakeAgent) MigrateInstance(_ context.Context, id fleet.InstanceID, ask fleet.Migrate, key string) (fleet.Accepted, error) {
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskMigrating, Name: ask.Host + " " + key}}, nil
}

// ChangeSnapshot implements api.Core.
func (a *fakeAgent) ChangeSnapshot(_ context.Context, id fleet.InstanceID, change fleet.SnapshotChange) (fleet.Accepted, error) {
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskSnapshotting, Name: change.Name}}, nil
}

// OpenConsole implements api.Core.
func (a *fakeAgent) OpenConsole(_ context.Context, id fleet.InstanceID, ask fleet.OpenConsole, who api.Principal) (fleet.ConsoleTicket, error) {
	return fleet.ConsoleTicket{Instance: id, Kind: ask.Kind, Host: a.row.ID, HostName: a.row.Name, URL: "wss://" + a.row.API, Fingerprint: string(who.Role)}, nil
}

// Console implements api.Node: no console passes through a registry.
func (a *fakeAgent) Console(context.Context, fleet.InstanceID, api.ConsoleVisit) (io.ReadWriteCloser, error) {
	panic("a registry has opened a console")
}

// DeleteInstance implements api.Core.
func (a *fakeAgent) DeleteInstance(context.Context, fleet.InstanceID) (fleet.Accepted, error) {
	panic(http.ErrAbortHandler) // takes the request and never answers
}

// ActHost implements api.Core.
func (a *fakeAgent) ActHost(_ context.Context, _ fleet.HostID, action fleet.HostAction) (fleet.Host, error) {
	row := a.row
	if action == fleet.Cordon {
		row.State = fleet.HostCordoned
	}
	return row, nil
}

// Hosts implements api.Core, for handlers that look a host up.
func (a *fakeAgent) Hosts(context.Context) (fleet.List[fleet.Host], error) {
	return fleet.List[fleet.Host]{Items: []fleet.Host{a.row}}, nil
}

// Host implements api.Core.
func (a *fakeAgent) Host(context.Context, fleet.HostID) (fleet.Host, error) { return a.row, nil }

// AtLeast implements api.Dated: it has its own account, up to its row's version.
func (a *fakeAgent) AtLeast(_ context.Context, at fleet.Version) (api.Reads, error) {
	if !a.row.Version.AtLeast(at) {
		return nil, a.Behind(at, nil)
	}
	return a, nil
}

// Behind implements api.Dated.
func (a *fakeAgent) Behind(fleet.Version, error) error {
	return &fleet.Error{Code: fleet.CodeNotCurrent, Detail: "not yet"}
}

// Instance implements api.Core: it has every instance.
func (a *fakeAgent) Instance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return fleet.Instance{ID: id, Host: a.row.ID, Name: "told by " + a.row.Name}, nil
}

// Instances implements api.Core.
func (a *fakeAgent) Instances(ctx context.Context, _ fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	row, err := a.Instance(ctx, running(1).ID)
	return fleet.List[fleet.Instance]{Items: []fleet.Instance{row}}, err
}

// OwnInstance implements api.Core.
func (a *fakeAgent) OwnInstance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	if a.empty.Load() {
		return fleet.Instance{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: "not here"}
	}
	return fleet.Instance{ID: id, Host: a.row.ID, Name: "seen by " + a.row.Name}, nil
}

// OwnHost implements api.Core.
func (a *fakeAgent) OwnHost(context.Context, fleet.HostID) (fleet.Host, error) {
	row := a.row
	row.Name = "seen by itself"
	return row, nil
}

// ImportImage implements api.Core.
func (a *fakeAgent) ImportImage(_ context.Context, _ fleet.HostID, im fleet.Image, content io.Reader) (fleet.Image, error) {
	body, err := io.ReadAll(content)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stored = body
	return im, err
}

// proposals returns how many the agent has judged.
func (a *fakeAgent) proposals() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// set changes the agent under its lock.
func (a *fakeAgent) set(f func(*fakeAgent)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

// machines returns the hosts that hold a claim for the instance.
func (w *world) machines(id fleet.InstanceID) []string {
	var on []string
	for _, a := range w.agents {
		a.mu.Lock()
		if _, ok := a.claims[id]; ok {
			on = append(on, a.row.Name)
		}
		a.mu.Unlock()
	}
	return on
}

// news is what one registry has heard: its own replica and members.
type news struct {
	w       *world
	replica *replica.Replica
	origins map[fleet.HostID]*replica.Origin
	members []fleet.Member
	changed chan struct{}
}

// Replica implements view.Source.
func (n *news) Replica() *replica.Replica { return n.replica }

// Members implements view.Source.
func (n *news) Members() []fleet.Member { return n.members }

// MembersChanged implements view.Source.
func (n *news) MembersChanged() <-chan struct{} { return n.changed }

// LinkList implements view.Source.
func (n *news) LinkList() []fleet.Link { return nil }

// RTT, Ping and Keys implement view.Gossip; nobody asks here.
func (n *news) RTT(fleet.UUID, fleet.UUID) (fleet.RoundTrip, error) { panic("asked for a round trip") }

// Ping implements view.Gossip.
func (n *news) Ping(context.Context, fleet.UUID) (fleet.RoundTrip, error) { panic("asked to ping") }

// Keys implements view.Gossip.
func (n *news) Keys(context.Context, fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	panic("asked for keys")
}

// Wanted implements view.Source.
func (n *news) Wanted(fleet.HostID) fleet.Version { return fleet.Version{} }

// publish makes this registry hear a host's row and instances.
func (n *news) publish(row fleet.Host, instances ...fleet.Instance) {
	n.w.t.Helper()
	if n.origins[row.ID] == nil {
		n.origins[row.ID] = replica.NewOrigin(row.ID)
		n.origins[row.ID].Begin(1, 1)
		n.status(row.ID, fleet.MemberAlive)
	}
	image, _ := wire.ImageKey(n.w.image.ID)
	rows := []replica.OwnRow{{Key: wire.HostKey(row.ID), Body: wire.EncodeHost(row)}, {Key: image, Body: wire.EncodeImage(n.w.image)}}
	for _, in := range instances {
		rows = append(rows, replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: wire.EncodeInstance(in)})
	}
	b, _, err := n.origins[row.ID].Next(rows)
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.replica.Install(b, time.Now())
}

// status sets what this registry's failure detector says. It is not called
// while requests run.
func (n *news) status(id fleet.HostID, status fleet.MemberStatus) {
	members := []fleet.Member{{ID: id, Role: fleet.RoleAgent, Status: status}}
	for _, m := range n.members {
		if m.ID != id {
			members = append(members, m)
		}
	}
	n.members = members
	close(n.changed)
	n.changed = make(chan struct{})
}

// registry returns a core that has heard of all agents.
func (w *world) registry() (*core, *news) {
	w.t.Helper()
	return w.registryBy(fleet.Spread)
}

// registryBy returns one that places by this strategy.
func (w *world) registryBy(how fleet.Strategy) (*core, *news) {
	w.t.Helper()
	n := &news{w: w, replica: replica.New(), origins: map[fleet.HostID]*replica.Origin{}, changed: make(chan struct{})}
	for _, a := range w.agents {
		n.publish(a.row)
	}
	self := w.identity(identity.Registry, newInstanceID())
	peers := client.NewPeers(func(peer fleet.UUID) *tls.Config { return self.ClientTLS(peer, "http/1.1") }, nil)
	w.t.Cleanup(peers.Close)
	c := &core{
		View:    view.New(view.Config{Source: n, Flavors: fleet.BuiltinFlavors(), Placement: how, Peers: peers}),
		timeout: 10 * time.Second, ready: func() error { return nil }, log: slog.New(slog.DiscardHandler), metrics: newMetrics(),
	}
	c.openWitnesses()
	return c, n
}

// impatient is the time-out of a registry that meets a host that hangs: long
// enough for a busy machine to connect in.
const impatient = time.Second

// create is a request as the API hands it on.
func create(name, key string) api.CreateInstance {
	hash := strings.Repeat("0", 63) + "1"
	if strings.HasPrefix(name, "other") {
		hash = strings.Repeat("0", 63) + "2"
	}
	return api.CreateInstance{Create: fleet.Create{Name: name, Flavor: "nano", Image: "tiny"}, Key: key, Hash: hash}
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

// keyAt returns a key whose home is this agent.
func (w *world) keyAt(agent int) string {
	w.t.Helper()
	var hosts []fleet.HostID
	for _, a := range w.agents {
		hosts = append(hosts, a.row.ID)
	}
	for n := range 10000 {
		key := fmt.Sprintf("key-%d", n)
		if home, _ := fleet.HomeOf(fleet.KeyedInstanceID(fleet.DefaultProject, key), hosts); home == hosts[agent] {
			return key
		}
	}
	w.t.Fatal("no key found")
	return ""
}

// CaptureInstance implements api.Core.
func (a *fakeAgent) CaptureInstance(_ context.Context, id fleet.InstanceID, req fleet.CaptureInstance) (fleet.Accepted, error) {
	return fleet.Accepted{Instance: fleet.Instance{ID: id, Host: a.row.ID, Task: fleet.TaskSnapshotting, Name: req.ImageName}}, nil
}
