package view

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
	"grapevine/mesh/replica"
)

// hear makes the node learn a host's state from a peer.
func (m *fakeMesh) hear(s mesh.State, from fleet.UUID) fleet.Version {
	m.t.Helper()
	origin := replica.NewOrigin(s.Host.ID)
	origin.Begin(1, 77)
	rows := ownRows(s.Host)
	for _, in := range s.Instances {
		rows = append(rows, ownInstance(in))
	}
	b, _, err := origin.Next(rows)
	if err != nil {
		m.t.Fatal(err)
	}
	d, _ := b.Since(replica.Head{})
	if result, err := m.replica.Apply(d, from, m.clock); result != replica.Applied {
		m.t.Fatalf("apply: %s, %v", result, err)
	}
	m.member(s.Host.ID, fleet.MemberAlive)
	return b.Version()
}

// tracing is a node, 5, that learnt of alpha's instance from node 3. Nodes 1, 3
// and 4 are other members; the one server answers for all with handler.
func tracing(t *testing.T, handler http.HandlerFunc) (*fakeMesh, *View, fleet.Version) {
	t.Helper()
	m, v := remoteView(t, handler)
	api := m.states[uuid(1)].Host.API
	v.cfg.Self = uuid(5)
	h := host(2, "origin")
	at := m.hear(mesh.State{Host: h, Instances: []fleet.Instance{instance(8, "web")}}, uuid(3))
	m.members = nil
	for n, name := range map[byte]string{2: "origin", 3: "between", 4: "gone", 5: "self"} {
		m.members = append(m.members, fleet.Member{ID: uuid(n), Name: name, Role: fleet.RoleAgent, Status: fleet.MemberAlive, API: api})
	}
	m.members = append(m.members, fleet.Member{ID: uuid(6), Name: "dead", Role: fleet.RoleAgent, Status: fleet.MemberFailed, API: api})
	m.member(uuid(9), "") // tell that they changed
	return m, v, at
}

func TestTraceAsksEveryNodeAndListsThoseThatDoNotAnswer(t *testing.T) {
	var m *fakeMesh
	var v *View
	var at fleet.Version
	wall := time.Unix(1_700_000_000, 0).UTC()
	asked := make(chan string, 10)
	m, v, at = tracing(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RequestURI()
		_ = json.NewEncoder(w).Encode(fleet.Trace{Nodes: []fleet.TracedNode{{Version: at, From: uuid(2), At: &wall, AgeMS: 250}}})
	})
	// Node 4 is one that Peers has at an address where nobody listens.
	m.mu.Lock()
	for i := range m.members {
		if m.members[i].ID == uuid(4) {
			m.members[i].API = "127.0.0.1:1"
		}
	}
	m.mu.Unlock()
	got, err := v.Trace(t.Context(), fleet.TraceQuery{Instance: uuid(8)})
	if err != nil {
		t.Fatal(err)
	}
	clock := m.clock.UTC()
	for i := range got.Nodes {
		if got.Nodes[i].Error != "" && strings.Contains(got.Nodes[i].Error, "nothing listens there") {
			got.Nodes[i].Error = "nothing listens there"
		}
	}
	want := fleet.Trace{
		Instance: uuid(8), InstanceName: "web", InstanceVersion: at, Host: uuid(2), HostName: "origin", Version: at, Asked: 4, Answered: 3,
		Nodes: []fleet.TracedNode{
			{Node: uuid(3), Name: "between", Role: fleet.RoleAgent, Version: at, From: uuid(2), FromName: "origin", At: &wall, AgeMS: 250},
			{Node: uuid(4), Name: "gone", Role: fleet.RoleAgent, Error: "nothing listens there"},
			{Node: uuid(2), Name: "origin", Role: fleet.RoleAgent, Version: at, From: uuid(2), FromName: "origin", At: &wall, AgeMS: 250},
			{Node: uuid(5), Name: "self", Role: fleet.RoleAgent, Version: at, From: uuid(3), FromName: "between", At: &clock},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	close(asked)
	n := 0
	for uri := range asked {
		n++
		if uri != "/v1/mesh/trace?host="+uuid(2).String()+"&local=true" {
			t.Errorf("asked %s, want what the node itself knows of the host", uri)
		}
	}
	if n != 2 {
		t.Errorf("asked %d nodes, want 2: neither itself nor the dead one", n)
	}
}

func TestRegistryOnPlainHTTPIsSaidToBeOne(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	m, v, _ := tracing(t, nil)
	m.members = []fleet.Member{{ID: uuid(4), Name: "registry", Role: fleet.RoleRegistry, Status: fleet.MemberAlive, API: strings.TrimPrefix(plain.URL, "http://")}}
	got, err := v.Trace(t.Context(), fleet.TraceQuery{Host: uuid(2)})
	if err != nil || len(got.Nodes) != 2 || !strings.Contains(got.Nodes[0].Error+got.Nodes[1].Error, "it serves plain HTTP") {
		t.Errorf("got %+v, %v; want a registry that serves plain HTTP", got.Nodes, err)
	}
}

func TestLocalTraceAsksNobody(t *testing.T) {
	m, v, at := tracing(t, func(http.ResponseWriter, *http.Request) { t.Error("another node was asked") })
	m.clock = m.clock.Add(3200 * time.Millisecond)
	got, err := v.Trace(t.Context(), fleet.TraceQuery{Host: uuid(2), Local: true})
	if err != nil || len(got.Nodes) != 1 {
		t.Fatalf("got %+v, %v; want this node alone", got, err)
	}
	if n := got.Nodes[0]; n.Version != at || n.From != uuid(3) || n.AgeMS != 3200 || n.Origin {
		t.Errorf("got %+v, want learnt from node 3, 3200 ms ago", n)
	}
	got, err = v.Trace(t.Context(), fleet.TraceQuery{Host: uuid(7), Local: true})
	if err != nil || len(got.Nodes) != 1 || !got.Nodes[0].Version.IsZero() {
		t.Errorf("of a host not heard: got %+v, %v; want this node with no version", got, err)
	}
}

func TestOriginOfABlockSaysSo(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "alpha")})
	v := m.view()
	v.cfg.Self = uuid(1)
	got, err := v.Trace(t.Context(), fleet.TraceQuery{Host: uuid(1), Local: true})
	if err != nil || !got.Nodes[0].Origin || !got.Nodes[0].From.IsZero() || got.Nodes[0].At == nil {
		t.Errorf("got %+v, %v; want the origin with its time", got, err)
	}
}

func TestTraceOfAnUnknownInstanceIsNotFound(t *testing.T) {
	v := newFakeMesh(t).view()
	_, err := v.Trace(t.Context(), fleet.TraceQuery{Instance: uuid(1)})
	wantCode(t, err, fleet.CodeNotFound)
	_, err = v.Trace(t.Context(), fleet.TraceQuery{Host: uuid(1)})
	wantCode(t, err, fleet.CodeNotFound)
}

func TestManyNodesAreAskedAFewAtATimeAndNotForEver(t *testing.T) {
	var v *View
	frozen := make(chan struct{})
	_, v, _ = tracing(t, func(http.ResponseWriter, *http.Request) { <-frozen })
	t.Cleanup(func() { close(frozen) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got, err := v.Trace(ctx, fleet.TraceQuery{Host: uuid(2)})
	if err != nil || got.Asked != 4 || got.Answered != 1 {
		t.Errorf("got %+v, %v; want this node's answer and three that gave none", got, err)
	}
}

func TestDiffSaysWhoIsNewerAndCountsTheRows(t *testing.T) {
	var other fleet.Digest
	m, v, _ := tracing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/mesh/digest" {
			t.Errorf("asked %s", r.URL)
		}
		_ = json.NewEncoder(w).Encode(other)
	})
	other, _ = v.Digest(t.Context())
	diff := func() fleet.DigestDiff {
		t.Helper()
		d, err := v.Diff(t.Context(), "", "between")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := diff(); !d.Equal || d.A.Name != "self" || d.B.Name != "between" || d.A.Root != d.B.Root || len(d.Hosts) != 0 {
		t.Errorf("got %+v, want two that are equal", d)
	}
	before := m.replica.Version(uuid(1))
	m.change(uuid(1), func(s *mesh.State) {
		s.Instances[0].Power = fleet.PowerStopped
		s.Instances = append(s.Instances, instance(4, "new"))
	})
	d := diff()
	two := 2
	want := []fleet.HostDiff{{Host: uuid(1), HostName: "alpha", A: m.replica.Version(uuid(1)), B: before, Newer: "a", RowsA: 3, RowsB: 2, RowsDiffer: &two}}
	if diff := cmp.Diff(want, d.Hosts); diff != "" || d.Equal {
		t.Errorf("equal %v (-want +got)\n%s", d.Equal, diff)
	}
	other.Rows = other.Rows[:1] // it knows one host less, and one of which we know nothing
	other.Rows = append(other.Rows, fleet.DigestRow{Host: uuid(7), HostName: "unheard", Version: fleet.Version{Host: uuid(7), Epoch: 1, Seq: 1}, Rows: 4})
	d = diff()
	if len(d.Hosts) != 3 || d.Hosts[1].Newer != "a" || *d.Hosts[1].RowsDiffer != 2 || d.Hosts[2].Newer != "b" || d.Hosts[2].RowsDiffer != nil || d.Hosts[2].RowsB != 4 {
		t.Errorf("got %+v; want alpha, origin with its 2 rows, and unheard, newer there", d.Hosts)
	}
}

func TestMembersAreNamedByNameIdOrAddress(t *testing.T) {
	m, v, _ := tracing(t, nil)
	for ref, want := range map[string]fleet.UUID{"": uuid(5), "between": uuid(3), strings.ToUpper(uuid(4).String()): uuid(4)} {
		if got, err := v.memberNamed(t.Context(), ref); err != nil || got.ID != want {
			t.Errorf("%q: got %v, %v; want %v", ref, got.ID, err, want)
		}
	}
	_, err := v.memberNamed(t.Context(), "nobody")
	wantCode(t, err, fleet.CodeNotFound)
	_, err = v.memberNamed(t.Context(), m.members[0].API)
	if e := wantCode(t, err, fleet.CodeAmbiguous); len(e.Candidates) != len(m.members) {
		t.Errorf("got candidates %v, want all at this address", e.Candidates)
	}
}
