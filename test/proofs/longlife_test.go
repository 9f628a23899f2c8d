package proofs

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// TestProof17RandomLifeKeepsEveryPromise lives random operations and faults, and
// checks the promises at each heal.
func TestProof17RandomLifeKeepsEveryPromise(t *testing.T) {
	d := 10 * time.Minute
	if text := os.Getenv("GRAPEVINE_PROOFS_FOR"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 1, 8, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 1024, DiskGiB: 100})
		h := NewHistory(w)
		if err := h.Live(d); err != nil {
			t.Errorf("broken: %v", err)
		}
		t.Log("\n" + h.String())
	})
}
