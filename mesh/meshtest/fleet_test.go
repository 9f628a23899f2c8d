package meshtest_test

import (
	"fmt"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// live lets a fleet go through faults, and returns what each member took, in
// order, and what came of it all.
func live(t *testing.T, opts meshtest.FleetOptions) []string {
	t.Helper()
	const agents = 30
	f := meshtest.NewFleet(agents, opts)
	m := f.Nodes
	history := make([]string, agents)
	f.Took = func(m *meshtest.Member, answer *wire.Answer, applied int) {
		for _, d := range answer.Deltas {
			history[m.Index] += fmt.Sprintln(m.Clock(), d.Head.Host, d.Head.Seq, applied)
		}
	}
	list := f.Everybody()
	shelf := &meshtest.Shelf{}
	say := func(m *meshtest.Member, number int) {
		row := replica.OwnRow{Key: wire.HostKey(m.ID), Body: wire.Body{Core: []byte(fmt.Sprint("state ", number))}}
		f.Do(m, func(now time.Time) { m.Publish([]replica.OwnRow{row}, now) })
	}
	start := func(m *meshtest.Member) {
		r := replica.New()
		r.ShareWith(shelf)
		f.See(m, list)
		f.Start(m, r)
		say(m, -1)
	}
	for _, m := range m {
		start(m)
	}
	for i := range 200 {
		m := m[i*7%agents]
		f.At(time.Duration(i)*9*time.Millisecond, func() { say(m, i) })
	}
	f.Run(time.Second)
	f.Cut(m[1], m[2])
	f.Freeze(m[3])
	f.Kill(m[4], true)
	f.Kill(m[5], false)
	f.At(time.Second, func() { start(m[4]) })
	f.Run(3 * time.Second)
	f.Restore()
	f.Thaw(m[3])
	start(m[5])
	f.SetLoss(0)
	f.Run(20 * time.Second)
	for i, m := range m {
		if m.Replica().Root() != f.Nodes[0].Replica().Root() || m.Replica().Len() != agents {
			t.Errorf("member %d holds %d hosts in the end, and not what the first one holds", i, m.Replica().Len())
		}
		history[i] += fmt.Sprintf("%016x %+v", m.Replica().Root(), m.Stats())
	}
	return append(history, fmt.Sprint(f.Bytes(), " bytes"))
}

func TestAFleetHasOneHistoryInAnyNumberOfShards(t *testing.T) {
	for name, opts := range map[string]meshtest.FleetOptions{
		"equal delays":               {Seed: 1, MinDelay: 500 * time.Microsecond, MaxDelay: 500 * time.Microsecond},
		"random delays, some losses": {Seed: 2, MinDelay: 500 * time.Microsecond, MaxDelay: 9 * time.Millisecond, StreamLoss: 0.002},
	} {
		t.Run(name, func(t *testing.T) {
			want := live(t, opts)
			for _, shards := range []int{1, 2, 7} {
				opts.Shards = shards
				for i, got := range live(t, opts) {
					if got != want[i] {
						t.Errorf("in %d shards, member %d or all together:\n%.2000s\nin one:\n%.2000s", shards, i, got, want[i])
						break
					}
				}
			}
		})
	}
}

func TestShelfHoldsTheNewestBlockOfAHostOnce(t *testing.T) {
	host := fleet.UUID{1}
	block := func(name string) *replica.Block {
		origin := replica.NewOrigin(host)
		origin.Begin(1, 1)
		for _, body := range []string{"first", name} {
			if _, _, err := origin.Next([]replica.OwnRow{{Key: wire.HostKey(host), Body: wire.Body{Core: []byte(body)}}}); err != nil {
				t.Fatal(err)
			}
		}
		return origin.Block()
	}
	shelf := &meshtest.Shelf{}
	old, first, second := block("first"), block("second"), block("second")
	if shelf.Share(old) != old || shelf.Share(first) != first {
		t.Error("a newer block was not taken as it is")
	}
	if shelf.Share(second) != first {
		t.Error("an equal block was not shared")
	}
	if shelf.Share(old) != old {
		t.Error("an older block became another")
	}
}
