package view

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
)

// hintedFleet is a view of hosts 1 to n, each with a machine; host n runs
// instance 100.
func hintedFleet(t *testing.T, n byte) (*fakeMesh, *View) {
	t.Helper()
	m := newFakeMesh(t)
	for i := range n {
		m.publish(mesh.State{Host: host(i+1, string(rune('a'+i)))})
	}
	m.change(uuid(n), func(s *mesh.State) { s.Instances = []fleet.Instance{instance(100, "vm")} })
	return m, m.view()
}

// reachabilities returns how hosts are shown, by the numbers of their ids.
func reachabilities(t *testing.T, v *View) map[byte]fleet.Reachability {
	t.Helper()
	list, err := v.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[byte]fleet.Reachability{}
	for _, h := range list.Items {
		got[h.ID[0]] = h.Reachability
	}
	return got
}

// wantNotOK fails unless these hosts are shown so and all others as ok.
func wantNotOK(t *testing.T, v *View, want map[byte]fleet.Reachability) {
	t.Helper()
	got := reachabilities(t, v)
	for id, reach := range got {
		if reach == fleet.ReachOK {
			delete(got, id)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts that are not ok (-want +got):\n%s", diff)
	}
}

type notOK = map[byte]fleet.Reachability

func TestTwoObserversMakeSuspectAndGossipAloneUnreachable(t *testing.T) {
	m, v := hintedFleet(t, 5)
	noticed := m.clock.Add(time.Minute)
	m.clock = noticed
	m.hint(uuid(1), uuid(5))
	wantNotOK(t, v, notOK{}) // one link may break for reasons of its own
	m.hint(uuid(2), uuid(5))
	wantNotOK(t, v, notOK{5: fleet.ReachSuspect})
	m.clock = m.clock.Add(time.Second)
	m.hint(uuid(3), uuid(5)) // a third changes nothing
	row := get(t, v, uuid(100))
	if row.Reachability != fleet.ReachSuspect || row.ReachabilitySince == nil || !row.ReachabilitySince.Equal(noticed) {
		t.Errorf("its instance is %s since %v, want suspect since %v", row.Reachability, row.ReachabilitySince, noticed)
	}
	if row.Power != fleet.PowerRunning {
		t.Errorf("power became %q; the last seen state must stay", row.Power)
	}
	m.member(uuid(5), fleet.MemberFailed)
	wantNotOK(t, v, notOK{5: fleet.ReachUnreachable})
}

func TestSuspectIsOKAgainWhenItSpeaks(t *testing.T) {
	m, v := hintedFleet(t, 4)
	m.hint(uuid(1), uuid(4))
	m.hint(uuid(2), uuid(4))
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect})
	m.change(uuid(4), func(s *mesh.State) { s.Instances = nil })
	wantNotOK(t, v, notOK{}) // though both hints are still held

	m.hint(uuid(1), uuid(4)) // lost again, after what it published last
	wantNotOK(t, v, notOK{}) // the other hint is stale and does not count
	m.hint(uuid(2), uuid(4))
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect})
}

func TestSuspectIsOKAgainWhenAnObserverTakesItsHintBack(t *testing.T) {
	m, v := hintedFleet(t, 4)
	m.hint(uuid(1), uuid(4))
	m.hint(uuid(2), uuid(4))
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect})
	m.hint(uuid(2))
	wantNotOK(t, v, notOK{})
}

func TestHintOfAnObserverThatIsNotHeardIsVoid(t *testing.T) {
	m, v := hintedFleet(t, 4)
	m.hint(uuid(1), uuid(4))
	m.hint(uuid(2), uuid(4))
	m.member(uuid(2), fleet.MemberFailed)
	wantNotOK(t, v, notOK{2: fleet.ReachUnreachable})
	m.member(uuid(2), fleet.MemberAlive)
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect})
	m.member(uuid(2), fleet.MemberLeft)
	wantNotOK(t, v, notOK{2: fleet.ReachLeft})
}

func TestHintAboutAVersionThatIsNotHeldYetCounts(t *testing.T) {
	m, v := hintedFleet(t, 4)
	m.hintAt(uuid(1), fleet.Version{Host: uuid(4), Epoch: 9, Seq: 1})
	m.hintAt(uuid(2), fleet.Version{Host: uuid(4), Epoch: 9, Seq: 1})
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect})
}

func TestOneObserverIsEnoughWhereThereCanBeNoOther(t *testing.T) {
	m, v := hintedFleet(t, 2)
	m.hint(uuid(1), uuid(2))
	wantNotOK(t, v, notOK{2: fleet.ReachSuspect})
	m.publish(mesh.State{Host: host(3, "c")}) // from now on there can be one
	wantNotOK(t, v, notOK{})
	m.member(uuid(3), fleet.MemberFailed)
	wantNotOK(t, v, notOK{2: fleet.ReachSuspect, 3: fleet.ReachUnreachable})
}

func TestHintOfAnObserverThatIsSuspectItselfIsVoid(t *testing.T) {
	m, v := hintedFleet(t, 5)
	m.hint(uuid(4), uuid(3))
	m.hint(uuid(5), uuid(3))
	wantNotOK(t, v, notOK{3: fleet.ReachSuspect})
	m.hint(uuid(1), uuid(4), uuid(5)) // it was their network that broke
	wantNotOK(t, v, notOK{3: fleet.ReachSuspect})
	m.hint(uuid(2), uuid(4), uuid(5))
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect, 5: fleet.ReachSuspect})
	m.hint(uuid(2))
	wantNotOK(t, v, notOK{3: fleet.ReachSuspect})
}

func TestTwoSidesOfACutThatHealedAreNotSuspect(t *testing.T) {
	m, v := hintedFleet(t, 4)
	before := func(n byte) fleet.Version { return m.replica.Version(uuid(n)) }
	left, right := []fleet.Version{before(1), before(2)}, []fleet.Version{before(3), before(4)}
	m.hintAt(uuid(1), right...)
	m.hintAt(uuid(2), right...)
	wantNotOK(t, v, notOK{3: fleet.ReachSuspect, 4: fleet.ReachSuspect})
	m.hintAt(uuid(3), left...) // their side of it comes, and is their sign of life
	m.hintAt(uuid(4), left...)
	wantNotOK(t, v, notOK{})
}

func TestAgentNeverSuspectsItself(t *testing.T) {
	m, _ := hintedFleet(t, 4)
	v := New(Config{Source: m, Self: uuid(4), Now: m.now})
	m.hint(uuid(1), uuid(4))
	m.hint(uuid(2), uuid(4))
	wantNotOK(t, v, notOK{})
}

func TestHintsChangeWhatIsShownAndNothingElse(t *testing.T) {
	m, v := hintedFleet(t, 4)
	m.hint(uuid(1), uuid(4))
	m.hint(uuid(2), uuid(4))
	wantNotOK(t, v, notOK{4: fleet.ReachSuspect})
	list, err := v.Hosts(t.Context())
	if diff := cmp.Diff(fleet.Coverage{Heard: 3, Known: 4}, list.Coverage); diff != "" || err != nil {
		t.Errorf("coverage, %v (-want +got):\n%s", err, diff)
	}
	if !v.Heard(uuid(4)) {
		t.Error("a suspect host is taken for one that gossip has lost")
	}
	if _, err := v.Peer(uuid(4)); err != nil {
		t.Errorf("a suspect host is not asked: %v", err)
	}
	exclude := map[fleet.HostID]bool{uuid(1): true, uuid(2): true, uuid(3): true}
	if id, ok := v.Pick(&fleet.Request{Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 1}}, exclude); !ok || id != uuid(4) {
		t.Error("a suspect host is not proposed to")
	}
}

// TestSuspicionDoesNotDependOnTheOrderOfNews compares a view that takes in one
// change after the other with one that sees only where they led.
func TestSuspicionDoesNotDependOnTheOrderOfNews(t *testing.T) {
	const hosts = 6
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m, v := hintedFleet(t, hosts)
		one := func() fleet.HostID { return uuid(byte(1 + rng.IntN(hosts))) }
		for range 40 {
			switch rng.IntN(6) {
			case 0:
				m.change(one(), func(s *mesh.State) { s.Host.Traits = []string{string(rune('a' + rng.IntN(26)))} })
			case 1:
				m.member(one(), []fleet.MemberStatus{fleet.MemberAlive, fleet.MemberFailed, fleet.MemberAlive, ""}[rng.IntN(4)])
			default:
				subjects := map[fleet.HostID]bool{}
				for range rng.IntN(4) {
					subjects[one()] = true
				}
				m.hint(one(), slices.SortedFunc(maps.Keys(subjects), fleet.UUID.Compare)...)
			}
			if rng.IntN(2) == 0 {
				v.refresh()
			}
		}
		if diff := cmp.Diff(reachabilities(t, m.view()), reachabilities(t, v)); diff != "" {
			t.Fatalf("seed %d (-fresh +incremental):\n%s", seed, diff)
		}
	}
}
