package proofs

import (
	"cmp"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// TestProof17RandomLifeKeepsEveryPromise lives random operations and faults, and
// checks the promises at each heal. GRAPEVINE_PROOFS_FOR is how long it lives,
// in virtual time, and GRAPEVINE_PROOFS_SEED what it draws from.
func TestProof17RandomLifeKeepsEveryPromise(t *testing.T) {
	lives, err := time.ParseDuration(cmp.Or(os.Getenv("GRAPEVINE_PROOFS_FOR"), "20m"))
	if err != nil {
		t.Fatalf("GRAPEVINE_PROOFS_FOR: %v; it must be a duration such as 100h", err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("GRAPEVINE_PROOFS_SEED"), "17"), 10, 64)
	if err != nil {
		t.Fatalf("GRAPEVINE_PROOFS_SEED: %v; it must be a number", err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, seed, long(40, 8), 2, fleet.Resources{VCPUs: 8, MemoryMiB: 1024, DiskGiB: 100})
		h := NewHistory(w)
		if err := h.Live(lives); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if err := h.rates(); err != nil && lives >= time.Hour {
			t.Errorf("too little happened: %v", err)
		}
		t.Logf("seed %d:\n%s", seed, h)
	})
}
