package ledger_test

import (
	"testing"

	"pgregory.net/rapid"

	"grapevine/agent/ledger"
	"grapevine/fleet"
)

// A ratio is what an operator wrote, and not the nearest number that a machine
// can write for it.
func TestRatiosAreAppliedToTheWholeUnit(t *testing.T) {
	for _, c := range []struct {
		ratio    float64
		physical int64
		want     int64
	}{
		{0, 7, 7}, {1, 7, 7}, {4, 16, 64}, {0.5, 7, 3}, {1.15, 100, 115}, {1.1, 3, 3}, {0.29, 100, 29}, {1.001, 64 << 20, 67175972},
	} {
		l := ledger.New(ledger.Terms{VCPURatio: c.ratio, MemoryRatio: c.ratio, DiskRatio: c.ratio})
		l.SetPhysical(fleet.Resources{VCPUs: c.physical, MemoryMiB: c.physical, DiskGiB: c.physical})
		if got := l.Capacity(); got.VCPUs.Total != c.want || got.MemoryMiB.Total != c.want || got.DiskGiB.Total != c.want {
			t.Errorf("%d by %g: got %+v, want %d of each", c.physical, c.ratio, got, c.want)
		}
	}
}

// Whatever the ratios and the reserve are, the account adds up, and what it says
// is free is what the host admits: so much, and not one unit more.
func TestAccountAddsUpAndFitsAgreesWithIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ratio := rapid.Float64Range(0.01, 100)
		three := func(name string, most int64) fleet.Resources {
			n := rapid.Int64Range(0, most)
			return fleet.Resources{VCPUs: n.Draw(t, name), MemoryMiB: n.Draw(t, name), DiskGiB: n.Draw(t, name)}
		}
		terms := ledger.Terms{
			VCPURatio: ratio.Draw(t, "vcpus"), MemoryRatio: ratio.Draw(t, "memory"), DiskRatio: ratio.Draw(t, "disk"), Reserve: three("reserve", 500),
		}
		physical, held, machine := three("physical", 1<<20), three("held", 500), three("machine", 1<<10)
		l := ledger.New(terms)
		l.SetPhysical(physical)
		l.SetHeld(held)
		l.SetMachines(map[fleet.InstanceID]fleet.Resources{{9}: machine})
		account := l.Capacity()
		for name, c := range map[string]struct {
			fleet.Amount
			ratio                              float64
			physical, reserve, held, allocated int64
		}{
			"vcpus":      {account.VCPUs, terms.VCPURatio, physical.VCPUs, terms.Reserve.VCPUs, held.VCPUs, machine.VCPUs},
			"memory_mib": {account.MemoryMiB, terms.MemoryRatio, physical.MemoryMiB, terms.Reserve.MemoryMiB, held.MemoryMiB, machine.MemoryMiB},
			"disk_gib":   {account.DiskGiB, terms.DiskRatio, physical.DiskGiB, terms.Reserve.DiskGiB, held.DiskGiB, machine.DiskGiB},
		} {
			if c.Free != c.Total-c.Reserved-c.Allocated || c.Reserved != max(c.reserve, c.held) || c.Allocated != c.allocated {
				t.Fatalf("%s does not add up: %+v", name, c)
			}
			if over := float64(c.Total) - float64(c.physical)*c.ratio; over > 0.001 || over <= -1 {
				t.Fatalf("%s: %d by %g is said to be %d", name, c.physical, c.ratio, c.Total)
			}
		}
		free := account.Free()
		for i, more := range []fleet.Resources{{}, {VCPUs: 1}, {MemoryMiB: 1}, {DiskGiB: 1}} {
			p := proposal(byte(20+i), 0, 1)
			p.Resources = free.Plus(more)
			// The published row and the ledger judge alike.
			row := host()
			row.Capacity = account
			byRow := fleet.Fits(row, &p.Request)
			claim, refusals := l.Admit(host(), p, "op")
			if len(byRow) != len(refusals) {
				t.Fatalf("%+v of %+v free: the row says %v, the host %v", p.Resources, free, byRow, refusals)
			}
			asked := more.VCPUs*max(p.Resources.VCPUs, 0) + more.MemoryMiB*max(p.Resources.MemoryMiB, 0) + more.DiskGiB*max(p.Resources.DiskGiB, 0)
			if (len(refusals) == 0) != (asked == 0) {
				t.Fatalf("%+v of %+v free: %v", p.Resources, free, refusals)
			}
			if claim != nil {
				l.Release(p.ID)
			}
		}
	})
}
