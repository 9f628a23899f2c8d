package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/api/client"
	"grapevine/fleet"
)

// dial serves the core on a unix socket and returns a client of it.
func dial(t *testing.T, core *fakeCore, role PrincipalRole) *client.Client {
	t.Helper()
	options := testOptions(core)
	options.Principal = func(*http.Request) Principal { return Principal{Role: role, ID: hostID, Enrolled: time.Unix(1, 0)} }
	server := NewServer(NewHandler(core, options), slog.New(slog.DiscardHandler))
	path := filepath.Join(t.TempDir(), "api.sock")
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("server ended with %v", err)
		}
	})
	c, err := client.New("unix://"+path, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClientHasAMethodForEveryRoute(t *testing.T) {
	create := fleet.Create{Name: "one", Flavor: "tiny", Image: "tiny"}
	image := kernelAndInitrd()
	proposal := fleet.Proposal{Attempt: 1, RequestHash: hashText, Request: fleet.Request{
		ID: instanceID, Name: "one", Project: "p", Image: hashText, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64},
	}}
	move := fleet.Move{ID: fleet.OperationID(hostID, 4), Source: hostID, To: fleet.UUID{9}, Request: proposal.Request, Generation: 2, Mark: []byte(`{}`)}
	record := fleet.KeyRecord{Instance: instanceID, RequestHash: hashText, Host: hostID, Attempt: 1}
	read := func(r io.ReadCloser, err error) (string, error) {
		if err != nil {
			return "", err
		}
		content, err := io.ReadAll(r)
		return string(content), errors.Join(err, r.Close())
	}
	calls := map[string]func(context.Context, *client.Client) (any, error){
		"GET /healthz":                func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Healthy(ctx) },
		"GET /readyz":                 func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Ready(ctx) },
		"GET /version":                func(ctx context.Context, c *client.Client) (any, error) { return c.Version(ctx) },
		"GET /metrics":                func(ctx context.Context, c *client.Client) (any, error) { return read(c.Metrics(ctx)) },
		"GET /openapi.json":           func(ctx context.Context, c *client.Client) (any, error) { return read(c.OpenAPI(ctx)) },
		"GET /v1/hosts":               func(ctx context.Context, c *client.Client) (any, error) { return c.Hosts(ctx) },
		"GET /v1/hosts/{id}":          func(ctx context.Context, c *client.Client) (any, error) { return c.Host(ctx, hostID) },
		"GET /v1/hosts/{id}/hardware": func(ctx context.Context, c *client.Client) (any, error) { return c.Hardware(ctx, hostID) },
		"POST /v1/hosts/{id}/declare-dead": func(ctx context.Context, c *client.Client) (any, error) {
			return c.DecideHost(ctx, hostID, fleet.DeclareDead, fleet.Decide{Reason: "burnt"})
		},
		"POST /v1/trust": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeTrust(ctx, fleet.ChangeTrust{Trust: "list", Reason: "old"})
		},
		"POST /v1/hosts/{id}/revoke": func(ctx context.Context, c *client.Client) (any, error) {
			return c.DecideHost(ctx, hostID, fleet.RevokeHost, fleet.Decide{Reason: "stolen"})
		},
		"POST /v1/hosts/{id}/forget": func(ctx context.Context, c *client.Client) (any, error) {
			return c.DecideHost(ctx, hostID, fleet.Forget, fleet.Decide{Reason: "sold"})
		},
		"POST /v1/instances/{id}/delete-intent": func(ctx context.Context, c *client.Client) (any, error) {
			return c.IntendDelete(ctx, instanceID, fleet.Decide{Reason: "old"})
		},
		"GET /v1/records":  func(ctx context.Context, c *client.Client) (any, error) { return c.AllRecords(ctx, hostID) },
		"GET /v1/groups":   func(ctx context.Context, c *client.Client) (any, error) { return c.Groups(ctx, fleet.ObjectQuery{}) },
		"GET /v1/keypairs": func(ctx context.Context, c *client.Client) (any, error) { return c.KeyPairs(ctx, fleet.ObjectQuery{}) },
		"GET /v1/groups/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.Group(ctx, fleet.ObjectRef{IDOrName: "a web?", Project: "shop"})
		},
		"GET /v1/keypairs/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.KeyPair(ctx, fleet.ObjectRef{IDOrName: "alice"})
		},
		"POST /v1/groups": func(ctx context.Context, c *client.Client) (any, error) {
			return c.CreateGroup(ctx, fleet.CreateGroup{Name: "web", Policy: fleet.Affinity})
		},
		"POST /v1/keypairs": func(ctx context.Context, c *client.Client) (any, error) {
			return c.CreateKeyPair(ctx, fleet.CreateKeyPair{Name: "alice", PublicKey: keyNow})
		},
		"DELETE /v1/groups/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.EndObject(ctx, fleet.MakeGroup, fleet.ObjectRef{IDOrName: "web"}, "")
		},
		"DELETE /v1/keypairs/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.EndObject(ctx, fleet.MakeKeyPair, fleet.ObjectRef{IDOrName: "alice"}, "")
		},
		"PUT /v1/records/{id}":      func(ctx context.Context, c *client.Client) (any, error) { return c.PutRecord(ctx, recordNow) },
		"GET /v1/verify":            func(ctx context.Context, c *client.Client) (any, error) { return c.Verify(ctx) },
		"GET /v1/hosts/{id}/verify": func(ctx context.Context, c *client.Client) (any, error) { return c.VerifyHost(ctx, hostID) },
		"GET /v1/hosts/{id}/audit": func(ctx context.Context, c *client.Client) (any, error) {
			after := uint64(3)
			return c.Audit(ctx, hostID, fleet.AuditQuery{After: &after, Limit: 5, Since: time.Unix(1, 0), Who: "a b", Subject: "x"})
		},
		"GET /v1/trust":                  func(ctx context.Context, c *client.Client) (any, error) { return c.TrustReport(ctx, false) },
		"GET /v1/hosts/{id}/audit/heads": func(ctx context.Context, c *client.Client) (any, error) { return c.AuditHeads(ctx, hostID, false) },
		"GET /v1/hosts/{id}/drain": func(ctx context.Context, c *client.Client) (any, error) {
			return c.PlanDrain(ctx, hostID, fleet.DrainRequest{Mode: fleet.DrainStop, DeadlineMS: 5000, Force: true})
		},
		"POST /v1/hosts/{id}/drain": func(ctx context.Context, c *client.Client) (any, error) {
			return c.StartDrain(ctx, hostID, fleet.DrainRequest{Mode: fleet.DrainStop, DeadlineMS: 5000, Force: true})
		},
		"POST /v1/hosts/{id}/undrain": func(ctx context.Context, c *client.Client) (any, error) { return c.Undrain(ctx, hostID) },
		"POST /v1/hosts/{id}/{action}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ActHost(ctx, hostID, fleet.Cordon)
		},
		"POST /v1/instances/{id}/autostart": func(ctx context.Context, c *client.Client) (any, error) {
			return c.SetAutostart(ctx, instanceID, fleet.Booting{Autostart: fleet.AutostartAlways, StartOrder: 2}, time.Second)
		},
		"POST /v1/hosts/{id}/release": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ReleaseHost(ctx, hostID, fleet.Decide{Reason: "compared by hand"})
		},
		"GET /v1/instances": func(ctx context.Context, c *client.Client) (any, error) {
			return c.AllInstances(ctx, fleet.InstanceQuery{Host: "alpha", State: fleet.PowerRunning, Labels: map[string]string{"a": "b"}, Limit: 5})
		},
		"POST /v1/instances": func(ctx context.Context, c *client.Client) (any, error) {
			return c.CreateInstance(ctx, create, client.CreateOptions{Key: "k", Wait: time.Second})
		},
		"GET /v1/instances/{id}":    func(ctx context.Context, c *client.Client) (any, error) { return c.Instance(ctx, instanceID) },
		"DELETE /v1/instances/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.DeleteInstance(ctx, instanceID, 0) },
		"POST /v1/instances/{id}/{action}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ActInstance(ctx, instanceID, fleet.Stop, client.ActOptions{Force: true, Wait: time.Second})
		},
		"GET /v1/instances/{id}/log": func(ctx context.Context, c *client.Client) (any, error) {
			return read(c.InstanceLog(ctx, instanceID, fleet.LogRange{Offset: 3}))
		},
		"POST /v1/instances/{id}/console": func(ctx context.Context, c *client.Client) (any, error) {
			return c.OpenConsole(ctx, instanceID, fleet.OpenConsole{Kind: fleet.SerialConsole})
		},
		"GET /v1/instances/{id}/console": func(ctx context.Context, c *client.Client) (any, error) {
			console, err := c.Console(ctx, fleet.ConsoleTicket{URL: "wss://host/v1/instances/" + instanceText + "/console?token=one-time"})
			if err != nil {
				return nil, err
			}
			return nil, console.Close()
		},
		"POST /v1/instances/{id}/capture": func(ctx context.Context, c *client.Client) (any, error) {
			return c.CaptureInstance(ctx, instanceID, fleet.CaptureInstance{ImageName: "golden"}, time.Second)
		},
		"POST /v1/instances/{id}/export": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ExportInstance(ctx, instanceID, time.Second)
		},
		"GET /v1/instances/{id}/export":    func(ctx context.Context, c *client.Client) (any, error) { return c.Export(ctx, instanceID) },
		"DELETE /v1/instances/{id}/export": func(ctx context.Context, c *client.Client) (any, error) { return nil, c.DropExport(ctx, instanceID) },
		"GET /v1/instances/{id}/export/file": func(ctx context.Context, c *client.Client) (any, error) {
			return read(c.ReadExport(ctx, instanceID, fleet.ExportRange{ID: "tag", Offset: 2, Length: 5}))
		},
		"GET /v1/instances/{id}/usage":   func(ctx context.Context, c *client.Client) (any, error) { return c.Usage(ctx, instanceID) },
		"GET /v1/instances/{id}/devices": func(ctx context.Context, c *client.Client) (any, error) { return c.Devices(ctx, instanceID) },
		"POST /v1/instances/{id}/devices": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeDevice(ctx, instanceID, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 2}}, time.Second)
		},
		"DELETE /v1/instances/{id}/devices/{name}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeDevice(ctx, instanceID, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "02:00:00:00:00:01"}, 0)
		},
		"POST /v1/instances/{id}/devices/{name}/grow": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeDevice(ctx, instanceID, fleet.DeviceChange{Verb: fleet.GrowDisk, Name: "disk-1", Device: fleet.AttachRequest{SizeGiB: 3}}, 0)
		},
		"GET /v1/instances/{id}/snapshots": func(ctx context.Context, c *client.Client) (any, error) { return c.Snapshots(ctx, instanceID) },
		"POST /v1/instances/{id}/snapshots": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeSnapshot(ctx, instanceID, fleet.SnapshotChange{Verb: fleet.TakeSnapshot, Name: "clean"}, time.Second)
		},
		"POST /v1/instances/{id}/snapshots/{name}/revert": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeSnapshot(ctx, instanceID, fleet.SnapshotChange{Verb: fleet.RevertSnapshot, Name: "a b?c%2f#d"}, 0)
		},
		"DELETE /v1/instances/{id}/snapshots/{name}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeSnapshot(ctx, instanceID, fleet.SnapshotChange{Verb: fleet.DeleteSnapshot, Name: "clean"}, 0)
		},
		"GET /v1/images":      func(ctx context.Context, c *client.Client) (any, error) { return c.Images(ctx) },
		"GET /v1/images/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.Image(ctx, hashText) },
		"POST /v1/images/import": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ImportURL(ctx, hostID, fleet.ImportURL{Name: "a", URL: "http://example.org/a"})
		},
		"POST /v1/images": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ImportContent(ctx, hostID, image, strings.NewReader("the kernelthe initrd"))
		},
		"GET /v1/images/{id}/files/{role}": func(ctx context.Context, c *client.Client) (any, error) {
			return read(c.ReadImage(ctx, hashText, fleet.RoleDisk, 2, 5))
		},
		"POST /v1/images/{id}/upload": func(ctx context.Context, c *client.Client) (any, error) {
			return c.BeginUpload(ctx, hostID, image)
		},
		"GET /v1/images/{id}/upload": func(ctx context.Context, c *client.Client) (any, error) {
			return c.Upload(ctx, hostID, hashText)
		},
		"PATCH /v1/images/{id}/upload": func(ctx context.Context, c *client.Client) (any, error) {
			return c.AppendUpload(ctx, hostID, hashText, 0, strings.NewReader(contentNow), int64(len(contentNow)))
		},
		"DELETE /v1/images/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.DeleteImage(ctx, hashText, hostID) },
		"GET /v1/flavors":        func(ctx context.Context, c *client.Client) (any, error) { return c.Flavors(ctx) },
		"GET /v1/operations/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.Operation(ctx, fleet.OperationID(hostID, 4))
		},
		"POST /v1/placements":  func(ctx context.Context, c *client.Client) (any, error) { return c.Explain(ctx, create) },
		"GET /v1/mesh/members": func(ctx context.Context, c *client.Client) (any, error) { return c.Members(ctx) },
		"GET /v1/mesh/links":   func(ctx context.Context, c *client.Client) (any, error) { return c.Links(ctx) },
		"GET /v1/mesh/digest":  func(ctx context.Context, c *client.Client) (any, error) { return c.Digest(ctx) },
		"GET /v1/mesh/lag":     func(ctx context.Context, c *client.Client) (any, error) { return c.Lag(ctx) },
		"GET /v1/mesh/watch": func(ctx context.Context, c *client.Client) (any, error) {
			w, err := c.Watch(ctx, "alpha")
			if err != nil {
				return nil, err
			}
			change, err := w.Next()
			return change, errors.Join(err, w.Close())
		},
		"GET /v1/mesh/trace": func(ctx context.Context, c *client.Client) (any, error) {
			return c.Trace(ctx, fleet.TraceQuery{Instance: instanceID, Local: true})
		},
		"GET /v1/mesh/diff": func(ctx context.Context, c *client.Client) (any, error) { return c.Diff(ctx, "alpha", "") },
		"GET /v1/mesh/rtt":  func(ctx context.Context, c *client.Client) (any, error) { return c.RTT(ctx, "alpha", "beta") },
		"GET /v1/mesh/ping": func(ctx context.Context, c *client.Client) (any, error) { return c.Ping(ctx, "beta") },
		"GET /v1/mesh/keys": func(ctx context.Context, c *client.Client) (any, error) { return c.GossipKeys(ctx) },
		"POST /v1/mesh/keys": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeGossipKeys(ctx, fleet.GossipKeyChange{Action: fleet.GossipKeyInstall})
		},
		"POST /v1/mesh/leave": func(ctx context.Context, c *client.Client) (any, error) { return c.Leave(ctx) },
		"POST /v1/join-tokens": func(ctx context.Context, c *client.Client) (any, error) {
			return c.CreateJoinToken(ctx, fleet.MakeJoinToken{})
		},
		"GET /v1/join-tokens":         func(ctx context.Context, c *client.Client) (any, error) { return c.JoinTokens(ctx) },
		"DELETE /v1/join-tokens/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.DropJoinToken(ctx, "0123") },
		"GET /v1/join":                func(ctx context.Context, c *client.Client) (any, error) { return c.Trust(ctx) },
		"POST /v1/join":               func(ctx context.Context, c *client.Client) (any, error) { return c.Join(ctx, fleet.Join{}) },
		"POST /v1/certificates": func(ctx context.Context, c *client.Client) (any, error) {
			return c.RenewCertificate(ctx, fleet.RenewCertificate{})
		},
		"GET /v1/witnesses": func(ctx context.Context, c *client.Client) (any, error) { return c.Witnesses(ctx) },
		"POST /v1/witnesses": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeWitnesses(ctx, fleet.WitnessChange{Old: "alpha", New: "beta"})
		},
		"GET /v1/witness": func(ctx context.Context, c *client.Client) (any, error) { return c.WitnessState(ctx) },
		"PUT /v1/witness": func(ctx context.Context, c *client.Client) (any, error) {
			return c.TellWitness(ctx, fleet.WitnessUpdate{Set: fleet.WitnessSet{Number: 1, Members: []fleet.HostID{{1}, {2}, {3}, {4}, {5}}}})
		},
		"GET /v1/grants": func(ctx context.Context, c *client.Client) (any, error) { return c.Grants(ctx, instanceID) },
		"PUT /v1/grants/{key}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.Grant(ctx, fleet.GrantAsk{Number: 1, Key: instanceID, Ballot: fleet.Ballot{Round: 1, Asker: hostID}})
		},
		"POST /v1/tokens": func(ctx context.Context, c *client.Client) (any, error) {
			return c.IssueToken(ctx, fleet.IssueToken{User: "alice", Password: "correct horse"})
		},
		"DELETE /v1/tokens/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.RevokeTokens(ctx, fleet.RevokeTokens{ID: instanceID, User: "alice"}, client.RevokeOptions{By: "alice", At: time.Unix(9, 0)})
		},
		"DELETE /v1/users/{name}/tokens": func(ctx context.Context, c *client.Client) (any, error) {
			return c.RevokeTokens(ctx, fleet.RevokeTokens{User: "alice"}, client.RevokeOptions{At: time.Unix(9, 0)})
		},
		"GET /v1/login":     func(ctx context.Context, c *client.Client) (any, error) { return c.Login(ctx) },
		"GET /v1/users":     func(ctx context.Context, c *client.Client) (any, error) { return c.Users(ctx) },
		"GET /v1/projects":  func(ctx context.Context, c *client.Client) (any, error) { return c.Projects(ctx) },
		"GET /v1/keys/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.Key(ctx, instanceID) },
		"PUT /v1/keys/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ChangeKey(ctx, instanceID, fleet.KeyChange{Record: record})
		},
		"POST /v1/instances/{id}/resize": func(ctx context.Context, c *client.Client) (any, error) {
			return c.ResizeInstance(ctx, instanceID, "small", time.Second)
		},
		"POST /v1/instances/{id}/rescue": func(ctx context.Context, c *client.Client) (any, error) {
			return c.RescueInstance(ctx, instanceID, fleet.Rescue{Image: "tiny"}, client.KeyedOptions{Wait: time.Second})
		},
		"POST /v1/instances/{id}/unrescue": func(ctx context.Context, c *client.Client) (any, error) {
			return c.UnrescueInstance(ctx, instanceID, client.KeyedOptions{Key: "k"})
		},
		"POST /v1/instances/{id}/rebuild": func(ctx context.Context, c *client.Client) (any, error) {
			return c.RebuildInstance(ctx, instanceID, fleet.Rebuild{Image: "tiny"}, client.KeyedOptions{Key: "k", Wait: time.Second})
		},
		"POST /v1/instances/{id}/migrate": func(ctx context.Context, c *client.Client) (any, error) {
			return c.MigrateInstance(ctx, instanceID, fleet.Migrate{Host: "beta"}, client.KeyedOptions{Key: "k", Wait: time.Second})
		},
		"PUT /v1/moves/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.OfferMove(ctx, move) },
		"GET /v1/moves/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.MoveAt(ctx, move.ID) },
		"PUT /v1/sizes/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.SetSize(ctx, instanceID, fleet.Size{Flavor: "small", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
		},
		"PUT /v1/withdrawals/{id}": func(ctx context.Context, c *client.Client) (any, error) {
			return c.Withdraw(ctx, instanceID, fleet.Withdraw{Attempt: 1})
		},
		"PUT /v1/claims/{id}": func(ctx context.Context, c *client.Client) (any, error) { return c.Claim(ctx, proposal) },
	}
	c := dial(t, full(), AsRegistry) // the one role that every route is open to
	for name := range access {
		if strings.HasPrefix(name, http.MethodHead+" ") {
			continue // what GET answers, for programs that follow the draft
		}
		t.Run(name, func(t *testing.T) {
			call, ok := calls[name]
			if !ok {
				t.Fatal("the client has no method for this route, or this table does not call it")
			}
			if got, err := call(t.Context(), c); err != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestErrorsCrossTheWireWhole(t *testing.T) {
	want := &fleet.Error{
		Code: fleet.CodeRefused, Detail: "no host takes it",
		Refusals: []fleet.Refusal{{Code: fleet.RefuseCapacity, Resource: "vcpus", Need: 4, Detail: "4 vCPUs asked, 0 free"}},
		Host:     &fleet.Host{ID: hostID, Name: "alpha", Labels: map[string]string{}, Traits: []string{"pause"}, Images: []string{}, Networks: []string{}, Version: versionNow},
		Verdicts: []fleet.Verdict{{Host: hostID, HostName: "alpha", Refusals: []fleet.Refusal{{Code: fleet.RefuseZone, Detail: "no"}}}},
		Instance: instanceID, Candidates: []string{"a", "b"},
	}
	core := full()
	core.claim = func(fleet.Proposal) (fleet.Accepted, error) { return fleet.Accepted{}, want }
	proposal := fleet.Proposal{Attempt: 1, RequestHash: hashText, Request: fleet.Request{
		ID: instanceID, Name: "one", Project: "p", Image: hashText, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64},
	}}
	_, err := dial(t, core, AsRegistry).Claim(t.Context(), proposal)
	var got *fleet.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBatchOfWhichNoneWasMadeCrossesTheWireWhole(t *testing.T) {
	core := full()
	core.create = func(CreateInstance) (fleet.Accepted, error) {
		return fleet.Accepted{}, &fleet.Error{Code: fleet.CodeRefused, Detail: "no", Verdicts: []fleet.Verdict{{Host: hostID, HostName: "alpha"}}}
	}
	many := fleet.CreateMany{Create: fleet.Create{Name: "vm", Flavor: "tiny", Image: "tiny"}, Count: 2}
	_, err := dial(t, core, AsOperator).CreateBatch(t.Context(), many, client.CreateOptions{})
	var got *fleet.Error
	if !errors.As(err, &got) || got.Code != fleet.CodeRefused || got.Batch == nil || len(got.Batch.Items) != 2 {
		t.Fatalf("got %v", err)
	}
	if e := got.Batch.Items[1].Problem.Err(); e.Code != fleet.CodeRefused || len(e.Verdicts) != 1 || e.Detail != "no" {
		t.Errorf("the second item's problem is %+v", e)
	}
}

func TestAcceptedCrossesTheWireWhole(t *testing.T) {
	got, err := dial(t, full(), AsOperator).DeleteInstance(t.Context(), instanceID, 0)
	want := acceptedNow
	want.Instance.Addresses, want.Instance.Labels = []string{}, map[string]string{}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestUploadThatIsRefusedEarlyStillTellsWhy(t *testing.T) {
	const size = 64 << 20
	im := fleet.Image{Name: "disk", Files: []fleet.ImageFile{{Role: fleet.RoleDisk, Format: "raw", SHA256: hashText, Bytes: size}}}
	im.ID = fleet.ImageID(im.Files, "")
	core := full()
	core.importing = func(_ fleet.HostID, im fleet.Image, r io.Reader) (fleet.Image, error) {
		_, _ = io.CopyN(io.Discard, r, 1<<20)
		return im, &fleet.Error{Code: fleet.CodeOutOfSpace, Detail: "the pool is full"}
	}
	content := bytes.NewReader(make([]byte, size))
	_, err := dial(t, core, AsOperator).ImportImage(t.Context(), fleet.HostID{}, im, content)
	if fleet.CodeOf(err) != fleet.CodeOutOfSpace {
		t.Errorf("got %v, want out_of_space", err)
	}
}

func TestBodyThatIsTooLargeStillTellsWhy(t *testing.T) {
	create := fleet.Create{Name: strings.Repeat("x", 10<<20), Flavor: "tiny", Image: "tiny"}
	_, err := dial(t, full(), AsOperator).CreateInstance(t.Context(), create, client.CreateOptions{})
	if fleet.CodeOf(err) != fleet.CodeTooLarge {
		t.Errorf("got %v, want too_large", err)
	}
}

// deadlines records the read deadlines that a handler sets.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// The deadline for the body must not reach into the wait: net/http would take
// it for a client that has gone, and end the request's context.
func TestReplyMayBeHeldForLongerThanABodyMayTake(t *testing.T) {
	core := full()
	w := &deadlines{ResponseWriter: httptest.NewRecorder()}
	core.await = func(context.Context, fleet.InstanceID, fleet.Version) (*fleet.Instance, error) {
		if len(w.set) < 2 || w.set[0].IsZero() || !w.set[len(w.set)-1].IsZero() {
			t.Errorf("deadlines set before the wait: %v; want one, and none in the end", w.set)
		}
		return nil, nil
	}
	options := testOptions(core)
	options.Principal = func(*http.Request) Principal { return Principal{Role: AsOperator} }
	NewHandler(core, options).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/instances?wait=1s", strings.NewReader(createBody)))
	if len(w.set) == 0 {
		t.Error("a body may take for ever")
	}
}

func TestLogThatBreaksIsNotTakenForWhole(t *testing.T) {
	core := full()
	core.log = func(fleet.InstanceID, fleet.LogRange) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), brokenReader{})), nil
	}
	r, err := dial(t, core, AsOperator).InstanceLog(t.Context(), instanceID, fleet.LogRange{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	content, err := io.ReadAll(r)
	if string(content) != "half" || err == nil {
		t.Errorf("read %q, %v; want an error after half", content, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the host went away") }
