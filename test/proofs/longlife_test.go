package proofs

import (
	"cmp"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// TestProof17RandomLifeKeepsEveryPromise lives random operations and faults, and
// checks the promises at each heal. GRAPEVINE_PROOFS_FOR is how long each life
// is, in virtual time, and GRAPEVINE_PROOFS_SEED what it draws from: one number,
// or several with commas between them, one life after the other.
func TestProof17RandomLifeKeepsEveryPromise(t *testing.T) {
	lives, err := time.ParseDuration(cmp.Or(os.Getenv("GRAPEVINE_PROOFS_FOR"), "20m"))
	if err != nil {
		t.Fatalf("GRAPEVINE_PROOFS_FOR: %v; it must be a duration such as 100h", err)
	}
	// A fleet's garbage is a third of its processor otherwise, and its memory
	// small.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("GRAPEVINE_PROOFS_SEED"), "17"), ",") {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("GRAPEVINE_PROOFS_SEED: %v; it must be numbers, with commas between them", err)
		}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { liveRandomly(t, seed, lives) })
		})
	}
}

func liveRandomly(t *testing.T, seed uint64, lives time.Duration) {
	t.Helper()
	w := NewWorld(t, seed, long(40, 8), 2, fleet.Resources{VCPUs: 8, MemoryMiB: 1024, DiskGiB: 100})
	h := NewHistory(w)
	if err := h.Live(lives); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if err := h.rates(); err != nil && lives >= time.Hour {
		t.Errorf("too little happened: %v", err)
	}
	if err := h.size.grown(); err != nil {
		t.Errorf("something is left behind: %v", err)
	}
	t.Logf("seed %d:\n%s", seed, h)
}

// A life that ends before its first rest has failed for another reason.
func TestLifeWithoutARestHasNotGrown(t *testing.T) {
	if err := (sizes{}).grown(); err != nil {
		t.Error(err)
	}
}

// A proof of a random life says so where it did not live as it was to.
func TestRandomLifeCountsWhatItIsAskedFor(t *testing.T) {
	for what, h := range map[string]*History{
		"operations": {sent: 3599, broken: 60},
		"faults":     {sent: 3600, broken: 59},
	} {
		synctest.Test(t, func(t *testing.T) {
			h.began = time.Now()
			time.Sleep(time.Hour)
			if err := h.rates(); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("too few %s: %v", what, err)
			}
			if err := (&History{sent: 3600, broken: 60, began: h.began}).rates(); err != nil {
				t.Errorf("enough of both: %v", err)
			}
		})
	}
}
