package view

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"grapevine/fleet"
	"grapevine/mesh"
	"grapevine/mesh/replica"
)

// lagging is a mesh of three: alpha heard 100 ms before it was told, beta 40 s
// ago, and gamma, which failed, an hour ago.
func lagging(t *testing.T) (*fakeMesh, *View) {
	t.Helper()
	m := newFakeMesh(t)
	for n, name := range []string{"alpha", "beta", "gamma"} {
		m.publish(mesh.State{Host: host(byte(n+1), name)})
	}
	m.sign(uuid(2), 40_000)
	m.sign(uuid(3), 3_600_000)
	m.member(uuid(3), fleet.MemberFailed)
	m.wanted[uuid(1)] = fleet.Version{Host: uuid(1), Epoch: 1, Seq: 9}
	return m, m.view()
}

// sign gives a host a further sign of life that is so old.
func (m *fakeMesh) sign(id fleet.HostID, ageMS uint64) {
	m.beats[id]++
	m.replica.Heard(id, replica.Sign{Epoch: 1, Beat: m.beats[id], AgeMS: ageMS, At: m.clock})
}

func TestLagTellsTheOldestFirstAndSumsUp(t *testing.T) {
	m, v := lagging(t)
	got, err := v.Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.Lag{
		Heard:  fleet.Ages{Hosts: 2, P50MS: 100, P99MS: 40_000, MaxMS: 40_000},
		Known:  fleet.Ages{Hosts: 3, P50MS: 40_000, P99MS: 3_600_000, MaxMS: 3_600_000},
		Behind: 1,
		Rows: []fleet.LagRow{
			{Host: uuid(3), HostName: "gamma", AgeMS: 3_600_000, Reachability: fleet.ReachUnreachable, Version: m.replica.Version(uuid(3))},
			{Host: uuid(2), HostName: "beta", AgeMS: 40_000, Reachability: fleet.ReachOK, Version: m.replica.Version(uuid(2))},
			{Host: uuid(1), HostName: "alpha", AgeMS: 100, Reachability: fleet.ReachOK, Version: m.replica.Version(uuid(1)), Wanted: m.wanted[uuid(1)]},
		},
		Coverage: fleet.Coverage{Heard: 2, Known: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// scrape returns what Prometheus would read of the view.
func scrape(tb testing.TB, v *View) string {
	tb.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(v.Collector())
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestMetricsOfTheViewSayTheirUnitAndPassTheLinter(t *testing.T) {
	_, v := lagging(t)
	want := `
# HELP grapevine_audit_heads_odd_total Heads of hosts' audit logs that this node has heard and that do not go on from what it heard before: grapevine audit verify says what is wrong.
# TYPE grapevine_audit_heads_odd_total counter
grapevine_audit_heads_odd_total 0
# HELP grapevine_mesh_host_age_seconds Seconds for which this node has had no sure sign of life of a host, by percentile of the hosts (100 is the oldest): hosts="heard" are those that can be heard, whose ages stay near the beat of 30 seconds; hosts="known" are all, also those that are down.
# TYPE grapevine_mesh_host_age_seconds gauge
grapevine_mesh_host_age_seconds{hosts="heard",percentile="100"} 40
grapevine_mesh_host_age_seconds{hosts="heard",percentile="50"} 0.1
grapevine_mesh_host_age_seconds{hosts="heard",percentile="99"} 40
grapevine_mesh_host_age_seconds{hosts="known",percentile="100"} 3600
grapevine_mesh_host_age_seconds{hosts="known",percentile="50"} 40
grapevine_mesh_host_age_seconds{hosts="known",percentile="99"} 3600
# HELP grapevine_mesh_hosts_by_reachability Number of hosts whose block is held, by how this node and the hints of others see their agents.
# TYPE grapevine_mesh_hosts_by_reachability gauge
grapevine_mesh_hosts_by_reachability{reachability="left"} 0
grapevine_mesh_hosts_by_reachability{reachability="ok"} 2
grapevine_mesh_hosts_by_reachability{reachability="suspect"} 0
grapevine_mesh_hosts_by_reachability{reachability="unreachable"} 1
# HELP grapevine_mesh_members Number of members of the mesh, agents and registries, by what this node's failure detector says of them.
# TYPE grapevine_mesh_members gauge
grapevine_mesh_members{status="alive"} 2
grapevine_mesh_members{status="failed"} 1
grapevine_mesh_members{status="leaving"} 0
grapevine_mesh_members{status="left"} 0
# HELP grapevine_records Number of facts that no host owns, decisions and delete intents, by kind and by whether they stand, are superseded or spent.
# TYPE grapevine_records gauge
grapevine_records{kind="declare-dead",standing="stands"} 0
grapevine_records{kind="delete-intent",standing="stands"} 0
grapevine_records{kind="end-group",standing="stands"} 0
grapevine_records{kind="end-key-pair",standing="stands"} 0
grapevine_records{kind="forget",standing="stands"} 0
grapevine_records{kind="group",standing="stands"} 0
grapevine_records{kind="key-pair",standing="stands"} 0
grapevine_records{kind="revoke-host",standing="stands"} 0
grapevine_records{kind="revoke-token",standing="stands"} 0
grapevine_records{kind="revoke-user",standing="stands"} 0
grapevine_records{kind="trust-roots",standing="stands"} 0
`
	got := scrape(t, v)
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("the linter says %v, %v", problems, err)
	}
}

func TestNoAgesAreToldOfNoHosts(t *testing.T) {
	v := newFakeMesh(t).view()
	if got := scrape(t, v); strings.Contains(got, "grapevine_mesh_host_age_seconds{") {
		t.Errorf("got ages of no hosts:\n%s", got)
	}
}

func TestMembersSaySinceWhenThisNodeSeesThemSo(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "alpha")})
	v := m.view()
	since := func() (fleet.MemberStatus, time.Time, int64) {
		t.Helper()
		list, err := v.Members(t.Context())
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("members %+v, %v", list, err)
		}
		return list.Items[0].Status, list.Items[0].Since, list.Items[0].SinceMS
	}
	start := m.clock
	if _, at, ms := since(); at != start || ms != 0 {
		t.Errorf("at first since %v, %d ms; want now", at, ms)
	}
	m.clock = start.Add(time.Minute)
	m.member(uuid(2), fleet.MemberAlive) // news of another
	m.member(uuid(2), "")
	if _, at, ms := since(); at != start || ms != 60_000 {
		t.Errorf("after a minute since %v, %d ms; want since the start", at, ms)
	}
	m.member(uuid(1), fleet.MemberFailed)
	if status, at, ms := since(); status != fleet.MemberFailed || at != m.clock || ms != 0 {
		t.Errorf("once failed: %s since %v, %d ms; want since then", status, at, ms)
	}
}

// BenchmarkCollect is one scrape at the size plan.
func BenchmarkCollect(b *testing.B) {
	m := newFakeMesh(b)
	for n := range fleet.MaxHosts {
		row := host(0, fmt.Sprintf("host%d", n))
		binary.BigEndian.PutUint32(row.ID[:], uint32(n+1)*0x9E3779B1)
		origin := replica.NewOrigin(row.ID)
		origin.Begin(1, 1)
		block, _, err := origin.Next(ownRows(row))
		if err != nil {
			b.Fatal(err)
		}
		m.replica.Install(block, m.clock)
		m.replica.Heard(row.ID, replica.Sign{Epoch: 1, Beat: 1, AgeMS: uint64(n), At: m.clock})
	}
	v := m.view()
	v.refresh()
	for b.Loop() {
		scrape(b, v)
	}
}
