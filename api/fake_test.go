package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/fleet"
)

// fakeCore answers with what a test puts into it; a method without a function
// fails, which shows as a 500.
type fakeCore struct {
	fakeWitness
	audited    fleet.AuditQuery      // by the last
	heard      func(context.Context) // by a delete
	atLeast    func(fleet.Version) (Reads, error)
	decided    fleet.Decide // by the last release
	hosts      func() (fleet.List[fleet.Host], error)
	host       func(fleet.HostID) (fleet.Host, error)
	hardware   func(fleet.HostID) (fleet.Hardware, error)
	instances  func(fleet.InstanceQuery) (fleet.List[fleet.Instance], error)
	instance   func(fleet.InstanceID) (fleet.Instance, error)
	image      func(string) (fleet.Image, error)
	operation  func(string) (fleet.Operation, error)
	log        func(fleet.InstanceID, fleet.LogRange) (io.ReadCloser, error)
	snapshots  func(fleet.InstanceID) (fleet.SnapshotList, error)
	devices    func(fleet.InstanceID) (fleet.DeviceList, error)
	usage      func(fleet.InstanceID) (fleet.InstanceUsage, error)
	resize     func(fleet.InstanceID, string) (fleet.Accepted, error)
	size       func(fleet.InstanceID, fleet.Size) (fleet.Accepted, error)
	rescue     func(fleet.InstanceID, fleet.Rescue, string) (fleet.Accepted, error)
	rebuild    func(fleet.InstanceID, fleet.Rebuild, string) (fleet.Accepted, error)
	migrate    func(fleet.InstanceID, fleet.Migrate, string) (fleet.Accepted, error)
	snapshot   func(fleet.InstanceID, fleet.SnapshotChange) (fleet.Accepted, error)
	device     func(fleet.InstanceID, fleet.DeviceChange) (fleet.Accepted, error)
	export     func(fleet.InstanceID) (fleet.Accepted, error)
	exported   fleet.PreparedExport
	capture    func(fleet.InstanceID, fleet.CaptureInstance) (fleet.Accepted, error)
	await      func(context.Context, fleet.InstanceID, fleet.Version) (*fleet.Instance, error)
	explain    func(fleet.Create) (fleet.Explanation, error)
	create     func(CreateInstance) (fleet.Accepted, error)
	act        func(fleet.InstanceID, fleet.InstanceAction, ActOptions) (fleet.Accepted, error)
	remove     func(fleet.InstanceID) (fleet.Accepted, error)
	actHost    func(fleet.HostID, fleet.HostAction) (fleet.Host, error)
	importing  func(fleet.HostID, fleet.Image, io.Reader) (fleet.Image, error)
	keyChanges []fleet.GossipKeyChange
	watch      func(context.Context, string) (iter.Seq2[[]fleet.HostChange, error], error)
	trace      func(fleet.TraceQuery) (fleet.Trace, error)
	claim      func(fleet.Proposal) (fleet.Accepted, error)
	content    func(offset, length int64) (io.ReadCloser, error) // of the image's file, instead of contentNow
	key        func(fleet.InstanceID) (fleet.KeyRecord, error)
	changeKey  func(fleet.InstanceID, fleet.KeyChange) (fleet.KeyAnswer, error)
	ticket     func(fleet.InstanceID, fleet.OpenConsole, Principal) (fleet.ConsoleTicket, error)
	console    func(fleet.InstanceID, ConsoleVisit) (io.ReadWriteCloser, error)
	part       atomic.Int64 // what came of an upload
	decisions  []string     // that were asked for, and by whom
}

var (
	_ Core = (*fakeCore)(nil)
	_ Node = (*fakeCore)(nil)
)

// AtLeast is behind by as much as the test says: then it reads from another.
func (f *fakeCore) AtLeast(_ context.Context, at fleet.Version) (Reads, error) {
	if f.atLeast == nil {
		return f, nil
	}
	return f.atLeast(at)
}

func (f *fakeCore) Behind(at fleet.Version, err error) error {
	return &fleet.Error{Code: fleet.CodeNotCurrent, Detail: "not yet at " + at.String() + ": " + err.Error()}
}

func (f *fakeCore) PlanDrain(_ context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	return fleet.Drain{Host: id, Phase: fleet.DrainPlanned, DrainRequest: req}, nil
}

func (f *fakeCore) StartDrain(_ context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	return fleet.Drain{Host: id, Phase: fleet.DrainGoing, DrainRequest: req, Version: versionNow}, nil
}

func (f *fakeCore) Undrain(_ context.Context, id fleet.HostID) (fleet.Drain, error) {
	return fleet.Drain{Host: id, Phase: fleet.DrainRestoring, Version: versionNow}, nil
}

func (f *fakeCore) Verify(context.Context) (fleet.Verification, error) {
	return fleet.Verification{Coverage: fleet.Coverage{Heard: 1, Known: 2}}, nil
}

func (f *fakeCore) VerifyHost(_ context.Context, id fleet.HostID) (fleet.Verification, error) {
	return fleet.Verification{Items: []fleet.Finding{{Type: fleet.FindGhost, Host: id, Instance: instanceID}}}, nil
}

func (f *fakeCore) FreshHost(_ context.Context, id fleet.HostID) (fleet.Host, error) {
	return fleet.Host{ID: id, Name: "fresh"}, nil
}

func (f *fakeCore) FreshInstance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return fleet.Instance{ID: id, Name: "fresh"}, nil
}

func (f *fakeCore) OwnHost(_ context.Context, id fleet.HostID) (fleet.Host, error) {
	return fleet.Host{ID: id, Name: "own"}, nil
}

func (f *fakeCore) OwnInstance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return fleet.Instance{ID: id, Name: "own"}, nil
}

func (f *fakeCore) Hosts(context.Context) (fleet.List[fleet.Host], error) { return f.hosts() }
func (f *fakeCore) Host(_ context.Context, id fleet.HostID) (fleet.Host, error) {
	return f.host(id)
}

func (f *fakeCore) Hardware(_ context.Context, id fleet.HostID) (fleet.Hardware, error) {
	return f.hardware(id)
}

func (f *fakeCore) Instances(_ context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	return f.instances(q)
}

func (f *fakeCore) Instance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return f.instance(id)
}

func (f *fakeCore) Images(context.Context) (fleet.List[fleet.Image], error) {
	return fleet.List[fleet.Image]{}, nil
}
func (f *fakeCore) Image(_ context.Context, id string) (fleet.Image, error) { return f.image(id) }
func (f *fakeCore) Flavors(context.Context) (fleet.List[fleet.Flavor], error) {
	return fleet.List[fleet.Flavor]{Items: fleet.BuiltinFlavors()}, nil
}

func (f *fakeCore) Operation(_ context.Context, id string) (fleet.Operation, error) {
	return f.operation(id)
}

func (f *fakeCore) InstanceLog(_ context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	return f.log(id, part)
}

func (f *fakeCore) Snapshots(_ context.Context, id fleet.InstanceID) (fleet.SnapshotList, error) {
	return f.snapshots(id)
}

func (f *fakeCore) ResizeInstance(_ context.Context, id fleet.InstanceID, flavor string) (fleet.Accepted, error) {
	return f.resize(id, flavor)
}

func (f *fakeCore) RescueInstance(_ context.Context, id fleet.InstanceID, ask fleet.Rescue, key string) (fleet.Accepted, error) {
	return f.rescue(id, ask, key)
}

func (f *fakeCore) UnrescueInstance(_ context.Context, id fleet.InstanceID, key string) (fleet.Accepted, error) {
	return f.rescue(id, fleet.Rescue{}, key)
}

func (f *fakeCore) MigrateInstance(_ context.Context, id fleet.InstanceID, ask fleet.Migrate, key string) (fleet.Accepted, error) {
	return f.migrate(id, ask, key)
}

func (f *fakeCore) OfferMove(_ context.Context, m fleet.Move, who Principal) (fleet.MoveReport, error) {
	return fleet.MoveReport{State: fleet.MoveComing, Detail: m.Request.Name + " by " + string(who.Role)}, nil
}

func (f *fakeCore) MoveAt(_ context.Context, id string) (fleet.MoveReport, error) {
	return fleet.MoveReport{State: fleet.MoveGiven, Detail: id}, nil
}

func (f *fakeCore) RebuildInstance(_ context.Context, id fleet.InstanceID, ask fleet.Rebuild, key string) (fleet.Accepted, error) {
	return f.rebuild(id, ask, key)
}

func (f *fakeCore) SetSize(_ context.Context, id fleet.InstanceID, size fleet.Size) (fleet.Accepted, error) {
	return f.size(id, size)
}

func (f *fakeCore) OpenConsole(_ context.Context, id fleet.InstanceID, ask fleet.OpenConsole, who Principal) (fleet.ConsoleTicket, error) {
	return f.ticket(id, ask, who)
}

func (f *fakeCore) Console(_ context.Context, id fleet.InstanceID, visit ConsoleVisit) (io.ReadWriteCloser, error) {
	return f.console(id, visit)
}

func (f *fakeCore) Usage(_ context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error) {
	return f.usage(id)
}

func (f *fakeCore) Devices(_ context.Context, id fleet.InstanceID) (fleet.DeviceList, error) {
	return f.devices(id)
}

func (f *fakeCore) ChangeDevice(_ context.Context, id fleet.InstanceID, change fleet.DeviceChange) (fleet.Accepted, error) {
	return f.device(id, change)
}

func (f *fakeCore) ExportInstance(_ context.Context, id fleet.InstanceID) (fleet.Accepted, error) {
	return f.export(id)
}

func (f *fakeCore) Export(context.Context, fleet.InstanceID) (fleet.PreparedExport, error) {
	return f.exported, nil
}

// ReadExport gives a file of digits.
func (f *fakeCore) ReadExport(_ context.Context, _ fleet.InstanceID, part fleet.ExportRange) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("0123456789"[part.Offset : part.Offset+part.Length])), nil
}

func (f *fakeCore) DropExport(context.Context, fleet.InstanceID) error { return nil }

func (f *fakeCore) CaptureInstance(_ context.Context, id fleet.InstanceID, req fleet.CaptureInstance) (fleet.Accepted, error) {
	return f.capture(id, req)
}

func (f *fakeCore) ChangeSnapshot(_ context.Context, id fleet.InstanceID, change fleet.SnapshotChange) (fleet.Accepted, error) {
	return f.snapshot(id, change)
}

func (f *fakeCore) Await(ctx context.Context, id fleet.InstanceID, at fleet.Version) (*fleet.Instance, error) {
	return f.await(ctx, id, at)
}

func (f *fakeCore) Explain(_ context.Context, c fleet.Create) (fleet.Explanation, error) {
	return f.explain(c)
}

func (f *fakeCore) Batch() func(context.Context, CreateInstance) (fleet.Accepted, error) {
	return f.CreateInstance
}

func (f *fakeCore) CreateInstance(_ context.Context, c CreateInstance) (fleet.Accepted, error) {
	return f.create(c)
}

func (f *fakeCore) ActInstance(_ context.Context, id fleet.InstanceID, a fleet.InstanceAction, o ActOptions) (fleet.Accepted, error) {
	return f.act(id, a, o)
}

func (f *fakeCore) DeleteInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error) {
	if f.heard != nil {
		f.heard(ctx)
	}
	return f.remove(id)
}

func (f *fakeCore) ActHost(_ context.Context, id fleet.HostID, a fleet.HostAction) (fleet.Host, error) {
	return f.actHost(id, a)
}

func (f *fakeCore) SetAutostart(_ context.Context, id fleet.InstanceID, ask fleet.Booting) (fleet.Accepted, error) {
	return fleet.Accepted{
		Instance:  fleet.Instance{ID: id, Autostart: ask.Autostart, StartOrder: ask.StartOrder, Task: fleet.TaskMarking},
		Operation: fleet.OperationID(hostID, 4), Version: versionNow,
	}, nil
}

func (f *fakeCore) ReleaseHost(_ context.Context, id fleet.HostID, decide fleet.Decide) (fleet.Host, error) {
	f.decided = decide
	return fleet.Host{ID: id, Name: "alpha", State: fleet.HostOK, Version: versionNow}, nil
}

func (f *fakeCore) DecideHost(_ context.Context, id fleet.HostID, kind fleet.RecordKind, ask fleet.Decide, who Principal) (fleet.Decided, error) {
	f.decisions = append(f.decisions, fmt.Sprintf("%s: %s of %s because %s", who.Role, kind, id, ask.Reason))
	return fleet.Decided{Record: recordNow}, nil
}

func (f *fakeCore) IntendDelete(_ context.Context, id fleet.InstanceID, ask fleet.Decide, who Principal) (fleet.Decided, error) {
	f.decisions = append(f.decisions, fmt.Sprintf("%s: delete %s because %s", who.Role, id, ask.Reason))
	return fleet.Decided{Record: recordNow}, nil
}

func (f *fakeCore) Records(_ context.Context, q fleet.RecordQuery) (fleet.List[fleet.RecordRow], error) {
	out := fleet.List[fleet.RecordRow]{Coverage: fleet.Coverage{Heard: 1, Known: 2}}
	if q.Marker.IsZero() {
		out.Items, out.Next = []fleet.RecordRow{{Record: recordNow, Standing: fleet.RecordStands}}, recordNow.ID.String()
	}
	return out, nil
}

func (f *fakeCore) PutRecord(_ context.Context, r fleet.Record) (fleet.Record, error) {
	return r, r.Validate()
}

// recordNow is a decision as it crosses the wire.
var recordNow = func() fleet.Record {
	r := fleet.Record{
		Kind: fleet.Forget, Subject: hostID, Name: "alpha", Covers: fleet.Version{Host: hostID, Epoch: 3, Seq: 4},
		By: "operator alice", Why: "burnt", AcceptedAt: time.UnixMilli(1700000000123).UTC(), Acceptor: fleet.UUID{7},
	}
	r.ID = fleet.NameRecord(&r)
	return r
}()

func (f *fakeCore) ImportImage(_ context.Context, h fleet.HostID, im fleet.Image, r io.Reader) (fleet.Image, error) {
	return f.importing(h, im, r)
}

func (f *fakeCore) BeginUpload(_ context.Context, h fleet.HostID, im fleet.Image) (fleet.Upload, error) {
	return fleet.Upload{Image: im.ID, Host: h, HaveBytes: f.part.Load(), TotalBytes: int64(len(contentNow))}, nil
}

func (f *fakeCore) Upload(ctx context.Context, h fleet.HostID, id string) (fleet.Upload, error) {
	return f.BeginUpload(ctx, h, fleet.Image{ID: id})
}

// AppendUpload counts what comes, as a host keeps it.
func (f *fakeCore) AppendUpload(ctx context.Context, h fleet.HostID, id string, offset int64, r io.Reader) (fleet.Upload, error) {
	if offset != f.part.Load() {
		return fleet.Upload{}, &fleet.Error{Code: fleet.CodeConflict, Detail: "the upload is at another offset"}
	}
	for buf := make([]byte, 1); ; {
		n, err := r.Read(buf)
		f.part.Add(int64(n))
		if err != nil && !errors.Is(err, io.EOF) {
			return fleet.Upload{}, err
		}
		if err != nil {
			break
		}
	}
	state, _ := f.Upload(ctx, h, id)
	if state.HaveBytes == state.TotalBytes {
		state.Stored = &fleet.Image{ID: id}
	}
	return state, nil
}

func (f *fakeCore) Members(context.Context) (fleet.List[fleet.Member], error) {
	return fleet.List[fleet.Member]{}, nil
}

func (f *fakeCore) Links(context.Context) (fleet.List[fleet.Link], error) {
	return fleet.List[fleet.Link]{}, nil
}
func (f *fakeCore) Digest(context.Context) (fleet.Digest, error) { return fleet.Digest{}, nil }
func (f *fakeCore) Lag(context.Context) (fleet.Lag, error)       { return fleet.Lag{}, nil }

func (f *fakeCore) Watch(ctx context.Context, host string) (iter.Seq2[[]fleet.HostChange, error], error) {
	return f.watch(ctx, host)
}

func (f *fakeCore) Trace(_ context.Context, q fleet.TraceQuery) (fleet.Trace, error) {
	return f.trace(q)
}

func (f *fakeCore) Diff(_ context.Context, a, b string) (fleet.DigestDiff, error) {
	return fleet.DigestDiff{A: fleet.NodeDigest{Name: a}, B: fleet.NodeDigest{Name: b}, Equal: true}, nil
}

func (f *fakeCore) RTT(_ context.Context, a, b string) (fleet.RoundTrip, error) {
	return fleet.RoundTrip{FromName: a, ToName: b, RTTMS: 0.5}, nil
}

func (f *fakeCore) Ping(_ context.Context, to string) (fleet.RoundTrip, error) {
	return fleet.RoundTrip{ToName: to, RTTMS: 0.5, Measured: true}, nil
}

func (f *fakeCore) GossipKeys(context.Context) (fleet.GossipKeyReport, error) {
	return fleet.GossipKeyReport{Members: 2, Answered: 2}, nil
}

func (f *fakeCore) ChangeGossipKeys(_ context.Context, c fleet.GossipKeyChange) (fleet.GossipKeyReport, error) {
	f.keyChanges = append(f.keyChanges, c)
	return fleet.GossipKeyReport{Changed: "aabbccddeeff"}, nil
}

func (f *fakeCore) Leave(context.Context) (fleet.Member, error) {
	return fleet.Member{ID: hostID, Name: "alpha", Status: fleet.MemberLeft}, nil
}

func (f *fakeCore) Claim(_ context.Context, p fleet.Proposal) (fleet.Accepted, error) {
	return f.claim(p)
}

func (f *fakeCore) ImportURL(_ context.Context, host fleet.HostID, req fleet.ImportURL) (fleet.Operation, error) {
	return fleet.Operation{ID: fleet.OperationID(host, 4), Host: host, Verb: fleet.VerbImportImage, State: fleet.OperationRunning}, nil
}

func (f *fakeCore) DeleteImage(_ context.Context, id string, host fleet.HostID) (fleet.ImageDeletion, error) {
	return fleet.ImageDeletion{Image: id, Removed: []fleet.HostID{host}}, nil
}

// contentNow is the one file of the image that the fake holds.
const contentNow = "0123456789"

func (f *fakeCore) ImageFile(_ context.Context, id string, role fleet.ImageRole) (fleet.ImageFile, error) {
	if id != hashText || role != fleet.RoleDisk {
		return fleet.ImageFile{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: "this host does not hold it"}
	}
	return fleet.ImageFile{Role: role, SHA256: hashText, Bytes: int64(len(contentNow))}, nil
}

func (f *fakeCore) ReadImage(_ context.Context, _ string, _ fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	if f.content != nil {
		return f.content(offset, length)
	}
	return io.NopCloser(strings.NewReader(contentNow[offset : offset+length])), nil
}

func (f *fakeCore) Withdraw(_ context.Context, _ fleet.InstanceID, ask fleet.Withdraw) (fleet.Withdrawn, error) {
	return fleet.Withdrawn{Refused: ask.Surely}, nil
}

func (f *fakeCore) Key(_ context.Context, id fleet.InstanceID) (fleet.KeyRecord, error) {
	return f.key(id)
}

func (f *fakeCore) ChangeKey(_ context.Context, id fleet.InstanceID, c fleet.KeyChange) (fleet.KeyAnswer, error) {
	return f.changeKey(id, c)
}

// Ids that tests use.
const (
	hostText     = "6b1f0000-0000-4000-8000-000000000001"
	instanceText = "6b1f0000-0000-4000-8000-000000000002"
	hashText     = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

var (
	hostID, _     = fleet.ParseUUID(hostText)
	instanceID, _ = fleet.ParseUUID(instanceText)
	versionNow    = fleet.Version{Host: hostID, Epoch: 3, Seq: 7}
	changeNow     = fleet.HostChange{Host: hostID, HostName: "alpha", Version: versionNow, Added: 1, Rows: []fleet.RowChange{}}
	acceptedNow   = fleet.Accepted{
		Instance:  fleet.Instance{ID: instanceID, Name: "one", Task: fleet.TaskBuilding, Version: versionNow},
		Operation: fleet.OperationID(hostID, 4), Version: versionNow,
	}
)

// full is a core that has one of everything.
func full() *fakeCore {
	accepted := func() (fleet.Accepted, error) { return acceptedNow, nil }
	return &fakeCore{
		hosts: func() (fleet.List[fleet.Host], error) {
			return fleet.List[fleet.Host]{Items: []fleet.Host{{ID: hostID, Name: "alpha"}}, Coverage: fleet.Coverage{Heard: 1, Known: 2}}, nil
		},
		host: func(id fleet.HostID) (fleet.Host, error) { return fleet.Host{ID: id}, nil },
		hardware: func(id fleet.HostID) (fleet.Hardware, error) {
			return fleet.Hardware{Host: id, CPU: fleet.CPU{Model: "EPYC"}}, nil
		},
		instances: func(fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
			return fleet.List[fleet.Instance]{Items: []fleet.Instance{{ID: instanceID}}}, nil
		},
		instance:  func(id fleet.InstanceID) (fleet.Instance, error) { return fleet.Instance{ID: id}, nil },
		image:     func(id string) (fleet.Image, error) { return fleet.Image{ID: id}, nil },
		operation: func(id string) (fleet.Operation, error) { return fleet.Operation{ID: id, Host: hostID}, nil },
		log: func(fleet.InstanceID, fleet.LogRange) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("hello\n")), nil
		},
		usage: func(id fleet.InstanceID) (fleet.InstanceUsage, error) {
			return fleet.InstanceUsage{Instance: id, Usage: fleet.Usage{CPUSeconds: new(2.5), MemoryBytes: new(int64(64 << 20))}}, nil
		},
		devices:   func(id fleet.InstanceID) (fleet.DeviceList, error) { return fleet.DeviceList{Instance: id}, nil },
		device:    func(fleet.InstanceID, fleet.DeviceChange) (fleet.Accepted, error) { return accepted() },
		snapshots: func(id fleet.InstanceID) (fleet.SnapshotList, error) { return fleet.SnapshotList{Instance: id}, nil },
		rescue:    func(fleet.InstanceID, fleet.Rescue, string) (fleet.Accepted, error) { return accepted() },
		rebuild:   func(fleet.InstanceID, fleet.Rebuild, string) (fleet.Accepted, error) { return accepted() },
		migrate:   func(fleet.InstanceID, fleet.Migrate, string) (fleet.Accepted, error) { return accepted() },
		resize:    func(fleet.InstanceID, string) (fleet.Accepted, error) { return accepted() },
		size:      func(fleet.InstanceID, fleet.Size) (fleet.Accepted, error) { return accepted() },
		snapshot:  func(fleet.InstanceID, fleet.SnapshotChange) (fleet.Accepted, error) { return accepted() },
		export:    func(fleet.InstanceID) (fleet.Accepted, error) { return accepted() },
		exported:  fleet.PreparedExport{Export: fleet.Export{ID: "tag"}, Bytes: 10},
		capture:   func(fleet.InstanceID, fleet.CaptureInstance) (fleet.Accepted, error) { return accepted() },
		ticket: func(id fleet.InstanceID, ask fleet.OpenConsole, _ Principal) (fleet.ConsoleTicket, error) {
			return fleet.ConsoleTicket{Instance: id, Kind: ask.Kind, URL: "wss://host/v1/instances/" + id.String() + "/console?token=one-time"}, nil
		},
		console: func(fleet.InstanceID, ConsoleVisit) (io.ReadWriteCloser, error) { return newEcho(), nil },
		await: func(context.Context, fleet.InstanceID, fleet.Version) (*fleet.Instance, error) {
			row := acceptedNow.Instance
			row.Task, row.Power, row.Version.Seq = fleet.TaskNone, fleet.PowerRunning, 9
			return &row, nil
		},
		explain: func(fleet.Create) (fleet.Explanation, error) { return fleet.Explanation{}, nil },
		create:  func(CreateInstance) (fleet.Accepted, error) { return accepted() },
		act: func(fleet.InstanceID, fleet.InstanceAction, ActOptions) (fleet.Accepted, error) {
			return accepted()
		},
		remove: func(fleet.InstanceID) (fleet.Accepted, error) { return accepted() },
		actHost: func(id fleet.HostID, a fleet.HostAction) (fleet.Host, error) {
			return fleet.Host{ID: id, State: fleet.HostCordoned, Version: versionNow}, nil
		},
		importing: func(_ fleet.HostID, im fleet.Image, r io.Reader) (fleet.Image, error) {
			_, err := io.Copy(io.Discard, r)
			return im, err
		},
		watch: func(context.Context, string) (iter.Seq2[[]fleet.HostChange, error], error) {
			return func(yield func([]fleet.HostChange, error) bool) { yield([]fleet.HostChange{changeNow}, nil) }, nil
		},
		trace: func(q fleet.TraceQuery) (fleet.Trace, error) {
			return fleet.Trace{Instance: q.Instance, Host: q.Host, Asked: 1}, nil
		},
		claim: func(fleet.Proposal) (fleet.Accepted, error) { return accepted() },
		key: func(id fleet.InstanceID) (fleet.KeyRecord, error) {
			return fleet.KeyRecord{Instance: id, RequestHash: hashText, Host: hostID, Attempt: 1}, nil
		},
		changeKey: func(_ fleet.InstanceID, c fleet.KeyChange) (fleet.KeyAnswer, error) {
			return fleet.KeyAnswer{Record: c.Record, Stored: true}, nil
		},
	}
}

// roleHeader is how tests say who they are.
const roleHeader = "Test-Role"

func byHeader(r *http.Request) Principal {
	return Principal{Role: PrincipalRole(r.Header.Get(roleHeader)), ID: hostID, Name: "tester", Enrolled: time.Unix(1, 0)}
}

func testOptions(core *fakeCore) Options {
	return Options{
		Node: core, Enrolment: fakeEnrolment{}, People: &fakePeople{}, Principal: byHeader, Version: "1.2.3",
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "grapevine_up 1\n") }),
	}
}

// request is one call of a test.
type request struct {
	method, target, body string
	role                 PrincipalRole
	header               map[string]string
}

func do(t *testing.T, core *fakeCore, r request) *httptest.ResponseRecorder {
	t.Helper()
	return doWith(t, NewHandler(core, testOptions(core)), r)
}

func doWith(tb testing.TB, handler http.Handler, r request) *httptest.ResponseRecorder {
	tb.Helper()
	req := httptest.NewRequestWithContext(tb.Context(), r.method, r.target, strings.NewReader(r.body))
	if r.role == Nobody {
		r.role = AsOperator
	}
	req.Header.Set(roleHeader, string(r.role))
	for key, value := range r.header {
		req.Header.Set(key, value)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	return recorder
}

// problemIn reads an answer that must be a problem document.
func problemIn(t *testing.T, r *httptest.ResponseRecorder) problem {
	t.Helper()
	if got := r.Header().Get("Content-Type"); got != problemType {
		t.Fatalf("content type %q of answer %d %s, want %s", got, r.Code, r.Body, problemType)
	}
	var p problem
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Fatalf("problem %s: %v", r.Body, err)
	}
	if p.Status != r.Code || p.Type != "urn:grapevine:problem:"+string(p.Code) || p.Title == "" || p.Detail == "" {
		t.Errorf("problem %+v of an answer %d", p, r.Code)
	}
	return p
}

// TrustReport says little.
func (f *fakeCore) TrustReport(_ context.Context, local bool) (fleet.TrustReport, error) {
	return fleet.TrustReport{Fleet: "home", Nodes: []fleet.TrustNode{{ID: hostID}}}, nil
}

// ChangeTrust keeps what it was asked.
func (f *fakeCore) ChangeTrust(_ context.Context, ask fleet.ChangeTrust, who Principal) (fleet.Decided, error) {
	return fleet.Decided{Record: fleet.Record{Kind: fleet.TrustRoots, Trust: ask.Trust, Why: ask.Reason, By: who.Word()}}, nil
}

// AuditHeads has heard of one entry.
func (f *fakeCore) AuditHeads(_ context.Context, id fleet.HostID, local bool) (fleet.AuditHeads, error) {
	return fleet.AuditHeads{Host: id, Nodes: fleet.Coverage{Known: 3}}, nil
}

// Audit answers with one entry, about what was asked for.
func (f *fakeCore) Audit(_ context.Context, id fleet.HostID, q fleet.AuditQuery) (fleet.AuditPage, error) {
	f.audited = q
	return fleet.AuditPage{Host: id, HostName: "node-1", Items: []fleet.AuditEntry{{Number: 4, Subject: q.Subject}}}, nil
}
