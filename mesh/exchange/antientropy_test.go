package exchange

import (
	"fmt"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// twins returns two nodes that hold the same hosts, of which the second lacks
// the newest version of some.
func twins(tb testing.TB, hosts, behind int) *sim {
	tb.Helper()
	s := newSim(2)
	for _, n := range s.nodes {
		n.r = replica.New()
	}
	for i := range hosts {
		id := fleet.NewUUIDv5(fleet.UUID{8}, fmt.Sprint(i))
		origin := replica.NewOrigin(id)
		origin.Begin(1, uint64(i)+1)
		for version := range 2 {
			b, _, err := origin.Next([]replica.OwnRow{vm(i, version)})
			if err != nil {
				tb.Fatal(err)
			}
			s.nodes[0].r.Install(b, s.now)
			if version == 0 || i >= behind {
				s.nodes[1].r.Install(b, s.now)
			}
		}
	}
	for _, n := range s.nodes {
		n.x = New(n.id, false, n.r, 0)
	}
	return s
}

// talk lets both ends of a link say all they have to, and returns how many
// bytes they wrote, answers apart.
func (s *sim) talk(tb testing.TB, l *simLink) (compared, answered int) {
	tb.Helper()
	for moved := true; moved; s.now = s.now.Add(time.Millisecond) {
		moved = false
		for i := range 2 {
			for m := l.ends[i].x.Next(l.peers[i], s.now); m != nil; m = l.ends[i].x.Next(l.peers[i], s.now) {
				frame, err := wire.AppendFrame(nil, m)
				if err != nil {
					tb.Fatal(err)
				}
				if _, rows := m.(*wire.Answer); rows {
					answered += len(frame)
				} else {
					compared += len(frame)
				}
				l.queue[1-i] = append(l.queue[1-i], simMessage{bytes: frame})
				moved = true
			}
		}
		for i := range 2 {
			for len(l.queue[i]) > 0 {
				s.deliver(l, i)
			}
		}
	}
	return compared, answered
}

func TestComparingCostsWhatDiffersAndNotWhatIsHeld(t *testing.T) {
	for _, tt := range []struct{ hosts, behind, most int }{
		{hosts: 10_000, behind: 0, most: 64},
		{hosts: 10_000, behind: 100, most: 25_000},
		{hosts: 100, behind: 3, most: 2_500},
	} {
		t.Run(fmt.Sprintf("%d of %d differ", tt.behind, tt.hosts), func(t *testing.T) {
			s := twins(t, tt.hosts, tt.behind)
			compared, _ := s.talk(t, s.link(0, 1))
			if compared > tt.most {
				t.Errorf("it took %d bytes beside the rows, want at most %d", compared, tt.most)
			}
			if !s.agreed() {
				t.Error("the two do not hold the same then")
			}
			if got := s.nodes[1].x.Stats().Wanted; got != uint64(tt.behind) {
				t.Errorf("%d hosts were asked for", got)
			}
		})
	}
}

func BenchmarkAntiEntropy(b *testing.B) {
	for _, percent := range []int{0, 1} {
		b.Run(fmt.Sprintf("hosts=10000/differ=%d%%", percent), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := twins(b, 10_000, 100*percent)
				b.StartTimer()
				compared, answered := s.talk(b, s.link(0, 1))
				b.ReportMetric(float64(compared), "wire-B")
				b.ReportMetric(float64(answered), "rows-B")
			}
		})
	}
}
