package ledger_test

import (
	"testing"

	"pgregory.net/rapid"

	"grapevine/agent/ledger"
	"grapevine/fleet"
)

var image = "00000000000000000000000000000000000000000000000000000000000000aa"

func host() *fleet.Host {
	return &fleet.Host{ID: fleet.UUID{1}, State: fleet.HostOK, Hypervisor: fleet.KVM, Images: []string{image}}
}

func proposal(n byte, memory int64, attempt uint32) fleet.Proposal {
	return fleet.Proposal{
		Attempt: attempt,
		Request: fleet.Request{ID: fleet.UUID{n}, Image: image, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: memory}},
	}
}

func TestClaimAndItsMachineAreCountedOnce(t *testing.T) {
	l := ledger.New(ledger.Terms{})
	l.SetPhysical(fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 10})
	if _, refusals := l.Admit(host(), proposal(7, 1024, 1), "op"); refusals != nil {
		t.Fatalf("refused: %v", refusals)
	}
	want := fleet.NewCapacity(fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 10}, fleet.Resources{}, fleet.Resources{VCPUs: 1, MemoryMiB: 1024})
	if got := l.Capacity(); got != want {
		t.Errorf("with the claim alone: got %+v, want %+v", got, want)
	}
	l.SetMachines(map[fleet.InstanceID]fleet.Resources{{7}: {VCPUs: 1, MemoryMiB: 1024}})
	if got := l.Capacity(); got != want {
		t.Errorf("with claim and machine: got %+v, want %+v", got, want)
	}
	l.Release(fleet.UUID{7})
	if got := l.Capacity(); got != want {
		t.Errorf("with the machine alone: got %+v, want %+v", got, want)
	}
}

func TestWhatTheHypervisorHoldsIsReservedAtLeast(t *testing.T) {
	for _, tt := range []struct{ reserve, held, want int64 }{{512, 0, 512}, {512, 1088, 1088}, {2048, 1088, 2048}} {
		l := ledger.New(ledger.Terms{Reserve: fleet.Resources{MemoryMiB: tt.reserve, DiskGiB: 3}})
		l.SetPhysical(fleet.Resources{MemoryMiB: 4096, DiskGiB: 10})
		l.SetHeld(fleet.Resources{MemoryMiB: tt.held})
		got := l.Capacity()
		if got.MemoryMiB.Reserved != tt.want || got.MemoryMiB.Free != 4096-tt.want || got.DiskGiB.Reserved != 3 {
			t.Errorf("reserve %d, held %d: got %+v, want %d reserved", tt.reserve, tt.held, got, tt.want)
		}
	}
}

func TestRefusedAttemptStaysRefusedWhenThereIsRoomAgain(t *testing.T) {
	l := ledger.New(ledger.Terms{})
	l.SetPhysical(fleet.Resources{VCPUs: 8, MemoryMiB: 1024})
	if _, refusals := l.Admit(host(), proposal(7, 2048, 2), "op"); len(refusals) != 1 || refusals[0].Code != fleet.RefuseCapacity {
		t.Fatalf("got %v, want one refusal for capacity", refusals)
	}
	l.SetPhysical(fleet.Resources{VCPUs: 8, MemoryMiB: 8192})
	for _, attempt := range []uint32{1, 2} {
		if _, refusals := l.Admit(host(), proposal(7, 2048, attempt), "op"); len(refusals) != 1 || refusals[0].Code != fleet.RefuseDuplicate {
			t.Errorf("attempt %d: got %v, want it refused as before", attempt, refusals)
		}
	}
	if claim, refusals := l.Admit(host(), proposal(7, 2048, 3), "op"); claim == nil {
		t.Errorf("attempt 3: refused with %v, want it admitted", refusals)
	}
}

func TestHostJudgesItsLabelsItself(t *testing.T) {
	l := ledger.New(ledger.Terms{})
	l.SetPhysical(fleet.Resources{VCPUs: 8, MemoryMiB: 4096})
	h, p := host(), proposal(7, 1024, 1)
	h.Labels, p.HostLabels = map[string]string{"rack": "r2"}, map[string]string{"rack": "r1"}
	if _, refusals := l.Admit(h, p, "op"); len(refusals) != 1 || refusals[0].Code != fleet.RefuseLabel {
		t.Errorf("got %v, want the label refused", refusals)
	}
	p.Attempt, h.Labels = 2, p.HostLabels
	if _, refusals := l.Admit(h, p, "op"); refusals != nil {
		t.Errorf("with the label it is refused: %v", refusals)
	}
}

func TestFailedClaimHoldsNothing(t *testing.T) {
	l := ledger.New(ledger.Terms{})
	l.SetPhysical(fleet.Resources{VCPUs: 1, MemoryMiB: 1024})
	if _, refusals := l.Admit(host(), proposal(7, 1024, 1), "op"); refusals != nil {
		t.Fatalf("refused: %v", refusals)
	}
	l.Fail(fleet.UUID{7}, "no such disk")
	if free := l.Capacity().MemoryMiB.Free; free != 1024 {
		t.Errorf("got %d MiB free, want all 1024", free)
	}
	if l.Claim(fleet.UUID{7}) == nil {
		t.Error("the claim is gone, want it kept to show its fault")
	}
}

func TestForeignMachinesMayOverfillAHost(t *testing.T) {
	l := ledger.New(ledger.Terms{Reserve: fleet.Resources{MemoryMiB: 512}})
	l.SetPhysical(fleet.Resources{VCPUs: 2, MemoryMiB: 1024})
	l.SetMachines(map[fleet.InstanceID]fleet.Resources{{9}: {VCPUs: 4, MemoryMiB: 4096}})
	if free := l.Capacity().MemoryMiB.Free; free != 1024-512-4096 {
		t.Errorf("got %d MiB free, want it negative", free)
	}
	if _, refusals := l.Admit(host(), proposal(7, 1, 1), "op"); len(refusals) != 2 {
		t.Errorf("got %v, want vcpus and memory_mib refused", refusals)
	}
}

// Whatever is proposed, built, failed and deleted in whatever order, live
// claims and machines never take more than there is.
func TestAdmissionNeverExceedsCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ledger.New(ledger.Terms{VCPURatio: 2})
		l.SetPhysical(fleet.Resources{VCPUs: 16, MemoryMiB: 8192, DiskGiB: 100})
		machines := map[fleet.InstanceID]fleet.Resources{}
		attempts := uint32(0)
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			id := fleet.UUID{rapid.Byte().Draw(t, "id")}
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				if _, built := machines[id]; built || l.Claim(id) != nil {
					continue
				}
				attempts++
				l.Admit(host(), proposal(id[0], rapid.Int64Range(1, 4096).Draw(t, "memory"), attempts), "op")
			case 1:
				if c := l.Claim(id); c != nil && c.Fault == "" {
					machines[id] = c.Proposal.Resources
					l.Release(id)
				}
			case 2:
				l.Fail(id, "broken")
			case 3:
				delete(machines, id)
				l.Release(id)
			}
			l.SetMachines(machines)
			if free := l.Capacity().Free(); free.VCPUs < 0 || free.MemoryMiB < 0 || free.DiskGiB < 0 {
				t.Fatalf("overcommitted: free is %+v", free)
			}
		}
	})
}
