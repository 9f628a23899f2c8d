package ledger_test

import (
	"testing"

	"grapevine/agent/ledger"
	"grapevine/fleet"
)

func TestGrowthIsBookedUntilTheMachineShowsIt(t *testing.T) {
	id := fleet.UUID{7}
	l := ledger.New(ledger.Terms{})
	l.SetPhysical(fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 10})
	l.SetMachines(map[fleet.InstanceID]fleet.Resources{id: {VCPUs: 2, MemoryMiB: 1024, DiskGiB: 4}, {8}: {VCPUs: 1, MemoryMiB: 1024}})
	want := func(when string, memory, disk int64) {
		t.Helper()
		if got := l.Capacity().Free(); got.MemoryMiB != memory || got.DiskGiB != disk {
			t.Errorf("%s: %d MiB and %d GiB are free, want %d and %d", when, got.MemoryMiB, got.DiskGiB, memory, disk)
		}
	}
	if refusals := l.Grow(id, fleet.Resources{VCPUs: 2, MemoryMiB: 4096, DiskGiB: 4}); len(refusals) != 1 || refusals[0].Resource != "memory_mib" || refusals[0].Need != 3072 {
		t.Errorf("got %+v, want one refusal for 3072 MiB more", refusals)
	}
	want("after the refusal", 2048, 6)
	if refusals := l.Grow(id, fleet.Resources{VCPUs: 2, MemoryMiB: 2048, DiskGiB: 5}); refusals != nil {
		t.Fatalf("refused: %v", refusals)
	}
	want("promised", 1024, 5)
	l.SetMachines(map[fleet.InstanceID]fleet.Resources{id: {VCPUs: 2, MemoryMiB: 2048, DiskGiB: 5}, {8}: {VCPUs: 1, MemoryMiB: 1024}})
	want("promised and seen", 1024, 5)
	l.Grown(id)
	want("seen alone", 1024, 5)
	if refusals := l.Grow(id, fleet.Resources{VCPUs: 1, MemoryMiB: 512, DiskGiB: 5}); refusals != nil {
		t.Fatalf("to shrink is refused: %v", refusals)
	}
	want("about to shrink", 1024, 5) // until it has
}
