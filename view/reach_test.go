package view

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
)

func TestReachabilityFollowsTheFailureDetector(t *testing.T) {
	for _, test := range []struct {
		status fleet.MemberStatus
		want   fleet.Reachability
	}{
		{fleet.MemberAlive, fleet.ReachOK},
		{fleet.MemberFailed, fleet.ReachUnreachable},
		{fleet.MemberLeaving, fleet.ReachLeft},
		{fleet.MemberLeft, fleet.ReachLeft},
		{"", fleet.ReachUnreachable}, // unknown to Serf, heard of through others
	} {
		t.Run(string(test.status), func(t *testing.T) {
			m := newFakeMesh(t)
			m.publish(mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{instance(9, "vm")}})
			v := m.view()
			if got := get(t, v, uuid(9)).Reachability; got != fleet.ReachOK {
				t.Fatalf("before: reachability %q, want ok", got)
			}
			m.clock = m.clock.Add(time.Minute)
			noticed := m.clock
			m.member(uuid(1), test.status)
			row := get(t, v, uuid(9))
			m.clock = m.clock.Add(time.Hour)
			later, _ := v.Host(t.Context(), uuid(1))
			if row.Reachability != test.want || later.Reachability != test.want {
				t.Fatalf("instance is %q and host %q, want both %q", row.Reachability, later.Reachability, test.want)
			}
			if got := v.Heard(uuid(1)); got != (test.want == fleet.ReachOK) {
				t.Errorf("heard is %v of a host that is %s", got, test.want)
			}
			if row.Power != fleet.PowerRunning {
				t.Errorf("power became %q; the last seen state must stay", row.Power)
			}
			switch {
			case test.want == fleet.ReachOK && later.ReachabilitySince != nil:
				t.Errorf("since %v on a host that is ok", later.ReachabilitySince)
			case test.want != fleet.ReachOK && (later.ReachabilitySince == nil || !later.ReachabilitySince.Equal(noticed)):
				t.Errorf("since %v, want %v, when this node noticed", later.ReachabilitySince, noticed)
			}
		})
	}
}

func TestHypervisorFaultShowsUnlessTheAgentIsSilentToo(t *testing.T) {
	m := newFakeMesh(t)
	since := time.Unix(1_750_000_000, 0).UTC()
	h := host(1, "a")
	h.HypervisorFault, h.HypervisorFaultSince = "connection refused", &since
	m.publish(mesh.State{Host: h, Instances: []fleet.Instance{instance(9, "vm")}})
	v := m.view()
	row := get(t, v, uuid(9))
	if row.Reachability != fleet.ReachHypervisorUnreachable || row.ReachabilitySince == nil || !row.ReachabilitySince.Equal(since) {
		t.Errorf("got %q since %v, want hypervisor_unreachable since %v", row.Reachability, row.ReachabilitySince, since)
	}
	m.member(uuid(1), fleet.MemberFailed)
	if got := get(t, v, uuid(9)).Reachability; got != fleet.ReachUnreachable {
		t.Errorf("got %q with the agent silent, want unreachable", got)
	}
}

func TestCoverageCountsWhoIsHeard(t *testing.T) {
	m := newFakeMesh(t)
	v := m.view()
	want := func(heard, known int) {
		t.Helper()
		got, err := v.Hosts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fleet.Coverage{Heard: heard, Known: known}, got.Coverage); diff != "" {
			t.Errorf("coverage (-want +got):\n%s", diff)
		}
	}
	want(0, 0)
	m.publish(mesh.State{Host: host(1, "a")})
	m.publish(mesh.State{Host: host(2, "b")})
	want(2, 2)
	m.member(uuid(2), fleet.MemberFailed)
	want(1, 2)
	m.member(uuid(3), fleet.MemberAlive) // Serf knows it, its block has not come yet
	want(1, 3)
	m.publish(mesh.State{Host: host(2, "b2")})
	m.member(uuid(2), fleet.MemberAlive)
	want(2, 3)
}

func TestAgentAlwaysHearsItself(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "a")})
	m.member(uuid(1), "")
	m.clock = m.clock.Add(time.Hour)
	v := New(Config{Source: m, Self: uuid(1), Now: m.now})
	got, err := v.Host(t.Context(), uuid(1))
	if err != nil || got.Reachability != fleet.ReachOK || got.AgeMS != 0 {
		t.Errorf("own host is %q at age %d, error %v; want ok at age 0", got.Reachability, got.AgeMS, err)
	}
}

func TestAgeIsThatOfTheLastSignOfLife(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{instance(9, "vm")}})
	v := m.view()
	m.clock = m.clock.Add(3 * time.Second)
	if got := get(t, v, uuid(9)).AgeMS; got != 3100 {
		t.Errorf("age %d ms; want 3000 here and 100 on the way", got)
	}
}

func TestRunNoticesSilenceWhenItHappensAndNotWhenSomebodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		m.publish(mesh.State{Host: host(1, "a")})
		v := New(Config{Source: m, Flavors: fleet.BuiltinFlavors()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- v.Run(ctx) }()
		time.Sleep(time.Minute)
		failed := time.Now()
		m.member(uuid(1), fleet.MemberFailed)
		time.Sleep(time.Hour)
		got, err := v.Host(ctx, uuid(1))
		if err != nil || got.ReachabilitySince == nil || got.ReachabilitySince.Sub(failed) > coalesce {
			t.Errorf("since %v, error %v; want %v", got.ReachabilitySince, err, failed)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil at the end of its context", err)
		}
	})
}
