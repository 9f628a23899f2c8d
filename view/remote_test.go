package view

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/mesh"
)

// remoteView returns a view whose host 1, with instance 9, answers with
// handler over HTTPS.
func remoteView(t *testing.T, handler http.HandlerFunc) (*fakeMesh, *View) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	m := newFakeMesh(t)
	h := host(1, "alpha")
	h.API = strings.TrimPrefix(server.URL, "https://")
	m.publish(mesh.State{Host: h, Instances: []fleet.Instance{instance(9, "vm")}})
	peers := client.NewPeers(func(fleet.UUID) *tls.Config { return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13} }, nil)
	t.Cleanup(peers.Close)
	return m, New(Config{Source: m, Peers: peers, Now: m.now})
}

func TestOperationAndLogAreAskedOfTheHostThatHasThem(t *testing.T) {
	id := fleet.OperationID(uuid(1), 4)
	_, v := remoteView(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/operations/" + id:
			_, _ = io.WriteString(w, `{"id":"`+id+`","verb":"create","state":"running"}`)
		case "/v1/instances/" + uuid(9).String() + "/log":
			_, _ = io.WriteString(w, "from "+r.URL.Query().Get("offset"))
		default:
			http.NotFound(w, r)
		}
	})
	op, err := v.Operation(t.Context(), id)
	if err != nil || op.ID != id || op.State != fleet.OperationRunning {
		t.Errorf("operation %+v, %v; want %s running", op, err, id)
	}
	log, err := v.InstanceLog(t.Context(), uuid(9), fleet.LogRange{Offset: 12})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, err := io.ReadAll(log); err != nil || string(text) != "from 12" {
		t.Errorf("log %q, %v", text, err)
	}
}

func TestFollowedLogEndsWithTheView(t *testing.T) {
	_, v := remoteView(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx) }()
	log, err := v.InstanceLog(t.Context(), uuid(9), fleet.LogRange{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := io.ReadFull(log, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	// Whether the connection or the answer ends first is for them to settle.
	if _, err := log.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want its end", err)
	}
}

func TestUnheardHostIsNotAsked(t *testing.T) {
	m, v := remoteView(t, func(http.ResponseWriter, *http.Request) { t.Error("the host was asked") })
	m.member(uuid(1), fleet.MemberFailed)
	_, err := v.InstanceLog(t.Context(), uuid(9), fleet.LogRange{})
	if e := wantCode(t, err, fleet.CodeHostUnreachable); !strings.Contains(e.Detail, "alpha is unreachable since") {
		t.Errorf("detail %q; want the host and since when", e.Detail)
	}
	_, err = v.Operation(t.Context(), fleet.OperationID(uuid(1), 1))
	wantCode(t, err, fleet.CodeHostUnreachable)
}

func TestHostThatDoesNotAnswerIsUnreachable(t *testing.T) {
	_, v := remoteView(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	_, err := v.Operation(t.Context(), fleet.OperationID(uuid(1), 1))
	wantCode(t, err, fleet.CodeHostUnreachable)
}

func TestFrozenHostIsNotWaitedForForEver(t *testing.T) {
	frozen := make(chan struct{})
	_, v := remoteView(t, func(http.ResponseWriter, *http.Request) { <-frozen })
	t.Cleanup(func() { close(frozen) }) // before the server's own end, which waits
	v.cfg.AnswerWithin = 50 * time.Millisecond
	_, err := v.Operation(t.Context(), fleet.OperationID(uuid(1), 1))
	wantCode(t, err, fleet.CodeHostUnreachable)
	_, err = v.InstanceLog(t.Context(), uuid(9), fleet.LogRange{})
	wantCode(t, err, fleet.CodeHostUnreachable)
	_, err = v.Snapshots(t.Context(), uuid(9))
	wantCode(t, err, fleet.CodeHostUnreachable)
}

func TestOperationOfNobodyIsNotFound(t *testing.T) {
	_, v := remoteView(t, func(http.ResponseWriter, *http.Request) { t.Error("a host was asked") })
	for _, id := range []string{"", "nonsense", fleet.OperationID(uuid(5), 1)} {
		_, err := v.Operation(t.Context(), id)
		wantCode(t, err, fleet.CodeNotFound)
	}
}

// ownHost is what an agent keeps.
type ownHost struct{}

func (ownHost) Operation(_ context.Context, id string) (fleet.Operation, error) {
	return fleet.Operation{ID: "own " + id}, nil
}

func (ownHost) InstanceLog(context.Context, fleet.InstanceID, fleet.LogRange) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("own")), nil
}

func (ownHost) Audit(_ context.Context, id fleet.HostID, _ fleet.AuditQuery) (fleet.AuditPage, error) {
	return fleet.AuditPage{Host: id}, nil
}

func (ownHost) Hardware(_ context.Context, id fleet.HostID) (fleet.Hardware, error) {
	return fleet.Hardware{Host: id, CPU: fleet.CPU{Model: "own"}}, nil
}

func (ownHost) PlanDrain(_ context.Context, id fleet.HostID, _ fleet.DrainRequest) (fleet.Drain, error) {
	return fleet.Drain{Host: id}, nil
}

func (ownHost) VerifyHost(_ context.Context, id fleet.HostID) (fleet.Verification, error) {
	return fleet.Verification{Items: []fleet.Finding{{Type: fleet.FindGhost, Host: id}}, Coverage: fleet.Coverage{Heard: 1, Known: 1}}, nil
}

func (ownHost) OwnHost(_ context.Context, id fleet.HostID) (fleet.Host, error) {
	return fleet.Host{ID: id, Name: "own"}, nil
}

func (ownHost) OwnInstance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return fleet.Instance{ID: id, Name: "own"}, nil
}

func (ownHost) Devices(_ context.Context, id fleet.InstanceID) (fleet.DeviceList, error) {
	return fleet.DeviceList{Instance: id, Items: []fleet.Device{{Kind: fleet.DeviceDisk, Name: "disk-0"}}}, nil
}

func (ownHost) Usage(_ context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error) {
	return fleet.InstanceUsage{Instance: id, Usage: fleet.Usage{CPUSeconds: new(2.5)}}, nil
}

func (ownHost) Export(context.Context, fleet.InstanceID) (fleet.PreparedExport, error) {
	return fleet.PreparedExport{Bytes: 7}, nil
}

func (ownHost) ReadExport(context.Context, fleet.InstanceID, fleet.ExportRange) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("own")), nil
}

func (ownHost) Snapshots(_ context.Context, id fleet.InstanceID) (fleet.SnapshotList, error) {
	return fleet.SnapshotList{Instance: id, Items: []fleet.Snapshot{{Name: "own"}}}, nil
}

func TestAgentAnswersForItselfWithoutTheNetwork(t *testing.T) {
	m, _ := remoteView(t, func(http.ResponseWriter, *http.Request) { t.Error("asked over the network") })
	v := New(Config{Source: m, Self: uuid(1), Local: ownHost{}, Now: m.now})
	id := fleet.OperationID(uuid(1), 4)
	if op, err := v.Operation(t.Context(), id); err != nil || op.ID != "own "+id {
		t.Errorf("operation %+v, %v; want its own", op, err)
	}
	if list, err := v.Devices(t.Context(), uuid(9)); err != nil || len(list.Items) != 1 || list.Items[0].Name != "disk-0" {
		t.Errorf("own devices: got %+v, %v", list, err)
	}
	if list, err := v.Snapshots(t.Context(), uuid(9)); err != nil || len(list.Items) != 1 || list.Items[0].Name != "own" {
		t.Errorf("snapshots %+v, %v; want its own", list, err)
	}
	if used, err := v.Usage(t.Context(), uuid(9)); err != nil || used.CPUSeconds == nil {
		t.Errorf("usage %+v, %v; want its own", used, err)
	}
	if hw, err := v.Hardware(t.Context(), uuid(1)); err != nil || hw.CPU.Model != "own" {
		t.Errorf("hardware %+v, %v; want its own", hw, err)
	}
	if prepared, err := v.Export(t.Context(), uuid(9)); err != nil || prepared.Bytes != 7 {
		t.Errorf("export %+v, %v; want its own", prepared, err)
	}
	if file, err := v.ReadExport(t.Context(), uuid(9), fleet.ExportRange{}); err != nil {
		t.Error(err)
	} else if text, _ := io.ReadAll(file); string(text) != "own" {
		t.Errorf("file %q, want its own", text)
	}
	log, err := v.InstanceLog(t.Context(), uuid(9), fleet.LogRange{})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(log); string(text) != "own" {
		t.Errorf("log %q, want its own", text)
	}
}

func TestGossipRowsCarryNames(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(2, "beta")})
	m.publish(mesh.State{Host: host(1, "alpha")})
	m.links = []fleet.Link{{Peer: uuid(2)}, {Peer: uuid(7)}}
	m.member(uuid(2), fleet.MemberFailed)
	v := m.view()
	links, _ := v.Links(t.Context())
	if links.Items[0].PeerName != "beta" || links.Items[1].PeerName != uuid(7).String() {
		t.Errorf("links to %q and %q; want beta and an id", links.Items[0].PeerName, links.Items[1].PeerName)
	}
	digest, err := v.Digest(t.Context())
	if err != nil || len(digest.Rows) != 2 || digest.Rows[0].HostName != "alpha" || len(digest.Root) != 16 {
		t.Errorf("digest %+v, %v", digest, err)
	}
	members, err := v.Members(t.Context())
	if err != nil || len(members.Items) != 2 || members.Coverage != (fleet.Coverage{Heard: 1, Known: 2}) {
		t.Errorf("members %+v, %v", members, err)
	}
}
