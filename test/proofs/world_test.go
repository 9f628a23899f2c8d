package proofs

import (
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

func TestWorldComesUpAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := NewWorld(t, 1, 5, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 8192, DiskGiB: 100})
		t.Logf("up after %v", time.Since(began))
		w.Hosts[2].Kill()
		time.Sleep(time.Minute)
		w.Hosts[2].Start()
		w.Await(time.Minute, "all hear all", w.heard)
	})
}
