package ledger_test

import (
	"slices"
	"testing"

	"grapevine/agent/ledger"
	"grapevine/fleet"
)

var here = fleet.Host{ID: fleet.UUID{1}, State: fleet.HostOK}

func roomy() *ledger.Ledger {
	l := ledger.New(ledger.Terms{})
	l.SetPhysical(fleet.Resources{VCPUs: 64, MemoryMiB: 64 << 10, DiskGiB: 1000})
	return l
}

func member(n byte, policy fleet.GroupPolicy) fleet.Proposal {
	p := fleet.Proposal{Attempt: 1}
	p.ID, p.Resources = fleet.UUID{9, n}, fleet.Resources{VCPUs: 1, MemoryMiB: 512}
	p.Group.Grouping = fleet.Grouping{ID: fleet.UUID{5}, Policy: policy}
	if policy == fleet.Affinity {
		p.Group.Anchor, p.Group.AnchorAttempt = here.ID, 1
	}
	return p
}

func codes(refusals []fleet.Refusal) []fleet.RefusalCode {
	var out []fleet.RefusalCode
	for _, r := range refusals {
		out = append(out, r.Code)
	}
	return out
}

// Whatever the registry believes of the members: the host counts its machines
// and its claims, also those whose build failed.
func TestProof13HostHasAtMostOneOfAnAntiAffinityGroup(t *testing.T) {
	group := map[fleet.InstanceID]fleet.GroupID{{9, 1}: {5}}
	for name, prepare := range map[string]func(l *ledger.Ledger){
		"a claim":               func(l *ledger.Ledger) { l.Admit(&here, member(1, fleet.AntiAffinity), "op") },
		"a machine":             func(l *ledger.Ledger) { l.SetGroups(group) },
		"a claim that is built": func(l *ledger.Ledger) { l.Admit(&here, member(1, fleet.AntiAffinity), "op"); l.SetGroups(group) },
		"a claim whose build failed": func(l *ledger.Ledger) {
			l.Admit(&here, member(1, fleet.AntiAffinity), "op")
			l.Fail(fleet.UUID{9, 1}, "no")
		},
		"a claim of the last life": func(l *ledger.Ledger) {
			l.Restore([]ledger.Claim{{Proposal: member(1, fleet.AntiAffinity)}}, nil)
		},
	} {
		l := roomy()
		prepare(l)
		second := member(2, fleet.AntiAffinity)
		second.Group.Members = map[fleet.HostID]int{} // as stale as can be
		if claim, refusals := l.Admit(&here, second, "op2"); claim != nil || !slices.Equal(codes(refusals), []fleet.RefusalCode{fleet.RefuseAffinity}) {
			t.Errorf("%s: %v, %v", name, claim, refusals)
		}
		other := member(3, fleet.AntiAffinity)
		other.Group.ID = fleet.UUID{6}
		if claim, refusals := l.Admit(&here, other, "op3"); claim == nil {
			t.Errorf("%s: one of another group is refused: %v", name, refusals)
		}
		l.SetGroups(nil)
		l.Release(fleet.UUID{9, 1})
		if claim, refusals := l.Admit(&here, member(4, fleet.AntiAffinity), "op4"); claim == nil {
			t.Errorf("%s: the place is not free when it is gone: %v", name, refusals)
		}
	}
}

func TestHostTakesMembersOfAnAffinityGroupOnlyAsItsAnchor(t *testing.T) {
	l := roomy()
	elsewhere := member(1, fleet.Affinity)
	elsewhere.Group.Anchor = fleet.UUID{2}
	if claim, refusals := l.Admit(&here, elsewhere, "op"); claim != nil || !slices.Equal(codes(refusals), []fleet.RefusalCode{fleet.RefuseAffinity}) {
		t.Errorf("another host is the anchor: %v, %v", claim, refusals)
	}
	if claim, refusals := l.Admit(&here, member(2, fleet.Affinity), "op"); claim == nil {
		t.Errorf("this host is the anchor: %v", refusals)
	}
}

// An anchor may be moved only when its host takes no member any more, for good;
// and a host that has members says nothing of the kind.
func TestAnchorIsGivenUpOnlyWithoutMembersAndForGood(t *testing.T) {
	l := roomy()
	large := member(1, fleet.Affinity)
	large.MemoryMiB = 1 << 20
	given := []fleet.RefusalCode{fleet.RefuseCapacity, fleet.RefuseAnchor}
	if _, refusals := l.Admit(&here, large, "op"); !slices.Equal(codes(refusals), given) {
		t.Errorf("refused without a member: %v", refusals)
	}
	late := member(2, fleet.Affinity)
	if claim, refusals := l.Admit(&here, late, "op"); claim != nil || !slices.Equal(codes(refusals), []fleet.RefusalCode{fleet.RefuseAnchor}) {
		t.Errorf("a late proposal under the attempt given up: %v, %v", claim, refusals)
	}
	again := ledger.New(ledger.Terms{})
	again.SetPhysical(fleet.Resources{VCPUs: 64, MemoryMiB: 64 << 10})
	again.Restore(nil, map[fleet.InstanceID]uint32{fleet.AnchorKey(fleet.UUID{5}): l.Refused(fleet.AnchorKey(fleet.UUID{5}))})
	if claim, _ := again.Admit(&here, late, "op"); claim != nil {
		t.Error("after a restart the host takes what it has given up")
	}
	anew := member(3, fleet.Affinity)
	anew.Group.AnchorAttempt = 2
	if claim, refusals := l.Admit(&here, anew, "op"); claim == nil {
		t.Errorf("made the anchor again: %v", refusals)
	}
	large.ID, large.Group.AnchorAttempt = fleet.UUID{9, 4}, 2
	if _, refusals := l.Admit(&here, large, "op"); !slices.Equal(codes(refusals), []fleet.RefusalCode{fleet.RefuseCapacity}) {
		t.Errorf("refused with a member: %v", refusals)
	}
}
