package view

import (
	"testing"

	"grapevine/fleet"
	"grapevine/mesh"
)

// A fresh read waits for nobody's word who was given up before anything was heard
// of them.
func TestHostGivenUpUnheardIsNotWaitedFor(t *testing.T) {
	for _, kind := range []fleet.RecordKind{fleet.DeclareDead, fleet.Forget} {
		m, v := lost(t)
		m.member(uuid(9), fleet.MemberFailed)
		if _, unheard := v.mayHave(); len(unheard) != 1 {
			t.Errorf("of a member that has said nothing: %v", unheard)
		}
		m.change(uuid(1), func(s *mesh.State) { s.Records = []fleet.Record{word(kind, uuid(9), 0)} })
		if _, unheard := v.mayHave(); len(unheard) != 0 {
			t.Errorf("after %s: %v", kind, unheard)
		}
	}
}
