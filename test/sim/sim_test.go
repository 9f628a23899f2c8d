package sim

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The environment says how many histories are tried, from which seed, and for
// how long; `make sim` sets the last.
const (
	envCount = "GRAPEVINE_SIM_COUNT"
	envSeed  = "GRAPEVINE_SIM_SEED"
	envFor   = "GRAPEVINE_SIM_FOR"
)

const (
	defaultCount = 2000
	steps        = 25
)

// try lives one history and says what was broken.
func try(seed uint64) (*history, error) {
	h := newHistory(seed)
	if err := h.live(steps); err != nil {
		return h, err
	}
	return h, h.checks.end()
}

func report(t *testing.T, seed uint64) bool {
	t.Helper()
	h, err := try(seed)
	if err != nil {
		t.Errorf("seed %d (repeat it with %s=%d %s=1): %v\n%s", seed, envSeed, seed, envCount, err, h)
	}
	return err == nil
}

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

func TestManyHistoriesKeepThePromises(t *testing.T) {
	seed, count := number(t, envSeed, 1), number(t, envCount, defaultCount)
	deadline := time.Time{}
	if text := os.Getenv(envFor); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s is %q, and must be a duration such as 10m", envFor, text)
		}
		deadline, count = time.Now().Add(d), 1<<62
	}
	tried, broken := uint64(0), 0
	for ; tried < count && broken < 3 && (deadline.IsZero() || time.Now().Before(deadline)); tried++ {
		if !report(t, seed+tried) {
			broken++
		}
	}
	t.Logf("%d histories tried, from seed %d", tried, seed)
}

// Seeds that once broke something are tried again for ever.
func TestOldSeedsKeepThePromises(t *testing.T) {
	file, err := os.Open("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds: %v", err)
		}
		report(t, seed)
	}
}

func TestHistoriesAreRepeatable(t *testing.T) {
	trace := func() string {
		h, err := try(42)
		s := fmt.Sprint(err, h.fleet.Bytes(), h)
		for _, m := range h.fleet.Nodes {
			s += fmt.Sprint(m.Up, m.Stats())
			if m.Up {
				s += fmt.Sprintf(" %016x", m.Replica().Root())
			}
		}
		return s
	}
	if one, two := trace(), trace(); one != two {
		t.Errorf("one seed gives two histories:\n%s\n\n%s", one, two)
	}
}
