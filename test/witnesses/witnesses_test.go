package witnesses

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// The environment says how many histories are tried, from which seed, and for
// how long.
const (
	envCount = "GRAPEVINE_WITNESSES_COUNT"
	envSeed  = "GRAPEVINE_WITNESSES_SEED"
	envFor   = "GRAPEVINE_WITNESSES_FOR"
)

const defaultCount = 40

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q, and must be a number", name, text)
	}
	return n
}

func TestNoKeyIsGrantedTwice(t *testing.T) {
	seed, count := number(t, envSeed, 1), number(t, envCount, defaultCount)
	deadline := time.Time{}
	if text := os.Getenv(envFor); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s is %q, and must be a duration such as 10m", envFor, text)
		}
		deadline, count = time.Now().Add(d), 1<<62
	}
	var sum counts
	tried, broken := uint64(0), 0
	for ; tried < count && broken < 3 && (deadline.IsZero() || time.Now().Before(deadline)); tried++ {
		w, err := live(seed+tried, none)
		if err != nil {
			broken++
			t.Errorf("seed %d (repeat it with %s=%d %s=1): %v", seed+tried, envSeed, seed+tried, envCount, err)
		}
		sum.add(w.count)
	}
	t.Logf("%d histories from seed %d: %+v", tried, seed, sum)
	if tried >= defaultCount && (sum.stored == 0 || sum.read == 0 || sum.sets == 0 || sum.dropped == 0 || sum.lessons == 0 || sum.journalsLost == 0) {
		t.Errorf("the histories did not try everything: %+v", sum)
	}
}

func (c *counts) add(o counts) {
	c.stored += o.stored
	c.read += o.read
	c.gaveUp += o.gaveUp
	c.journalsLost += o.journalsLost
	c.crashes += o.crashes
	c.sets += o.sets
	c.dropped += o.dropped
	c.lessons += o.lessons
}

// enough is how many seeds may be needed to find a fault that was put in, from
// the one on that is noted beside it.
const enough = 400

func TestEachDeliberateFaultIsCaught(t *testing.T) {
	for f, first := range faults {
		t.Run(string(f), func(t *testing.T) {
			for seed := first; seed < first+enough; seed++ {
				if _, err := live(seed, f); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("a witness that %s was not caught by %d seeds", f, enough)
		})
	}
}

func TestHistoriesAreRepeatable(t *testing.T) {
	trace := func() string {
		w, err := live(42, none)
		s := fmt.Sprint(err, w.seq, w.count)
		for _, n := range w.nodes {
			s += fmt.Sprint(n.office, len(n.entries))
		}
		return s
	}
	if one, two := trace(), trace(); one != two {
		t.Errorf("one seed gives two histories:\n%s\n\n%s", one, two)
	}
}
