package exchange

import (
	"testing"
	"time"
)

// ticked has news come all the time, for so long, and an answer before each
// tick, which takes what took says of the interval at that moment.
func ticked(p *pace, now *time.Time, long time.Duration, took func(interval time.Duration) time.Duration) {
	for end := now.Add(long); now.Before(end); {
		*now = p.next(*now)
		p.answered(took(p.interval), time.Millisecond)
		p.flush(1, *now)
	}
}

func TestIntervalComesToRestWhereAnswersAreInTime(t *testing.T) {
	for _, enough := range []time.Duration{15 * time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond} {
		now := time.Unix(1000, 0)
		p := pace{interval: minFlush, phase: 3 * time.Millisecond}
		busy := func(interval time.Duration) time.Duration { // shorter ticks than enough are more than the node can do
			if interval < enough {
				return 50 * time.Millisecond
			}
			return 2 * time.Millisecond
		}
		ticked(&p, &now, time.Second, busy)
		for range 100 {
			ticked(&p, &now, p.interval, busy)
			if p.interval < enough*3/4 || p.interval > enough*5/4+time.Millisecond {
				t.Fatalf("the interval is %v where %v is enough", p.interval, enough)
			}
		}
	}
}

func TestIntervalIsBoundedAndFallsAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	p := pace{interval: minFlush}
	ticked(&p, &now, 3*time.Second, func(time.Duration) time.Duration { return time.Second })
	if p.interval != lateFlush {
		t.Errorf("after three seconds of late answers the interval is %v, want %v", p.interval, lateFlush)
	}
	now = now.Add(5 * time.Second) // at rest
	if wait := p.next(now).Sub(now); wait > minFlush {
		t.Errorf("the first news in five seconds wait for %v, want at most %v", wait, minFlush)
	}
	p.flush(1, now)
	if p.interval != minFlush {
		t.Errorf("after five seconds at rest the interval is %v, want %v", p.interval, minFlush)
	}
}

func TestDistantAndSinglePeersMakeNobodyLate(t *testing.T) {
	now := time.Unix(1000, 0)
	p := pace{interval: minFlush}
	for range 100 {
		now = p.next(now)
		p.answered(170*time.Millisecond, 90*time.Millisecond) // another continent
		p.answered(2*time.Millisecond, time.Millisecond)
		p.answered(time.Second, time.Millisecond) // one that is busy
		p.flush(1, now)
	}
	if p.interval != minFlush {
		t.Errorf("the interval is %v, want %v", p.interval, minFlush)
	}
}

func TestLargeBatchesWaitTwiceAsLong(t *testing.T) {
	now := time.Unix(1000, 0)
	p := pace{interval: minFlush}
	p.flush(largeBatch, now)
	if p.interval != maxFlush {
		t.Errorf("the interval is %v, want %v", p.interval, maxFlush)
	}
}

func TestAnswersAreTimedAgainstTheFastest(t *testing.T) {
	s := newSim(3)
	s.link(0, 1)
	l := s.link(1, 2)
	s.run(first)
	x := s.nodes[2].x
	l.peers[1].RoundTrip(3 * time.Millisecond)
	for _, c := range []struct {
		waits time.Duration // the want, on its way
		late  int
	}{{0, 0}, {100 * time.Millisecond, 1}} {
		s.publish(s.nodes[0], vm(1, int(c.waits)))
		for x.wants.Len() == 0 {
			s.step(first)
		}
		s.now = s.now.Add(c.waits)
		x.pace.answers, x.pace.late = 0, 0
		for x.wants.Len() > 0 {
			s.step(first)
		}
		if got := x.pace; got.answers != 1 || got.late != c.late {
			t.Errorf("of a want that waited for %v: %d answers, %d of them late, want 1 and %d", c.waits, got.answers, got.late, c.late)
		}
	}
}
