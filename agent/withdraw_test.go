package agent_test

import (
	"testing"

	"grapevine/fleet"
)

// What is at the host stays; what is not is refused, up to the attempt, also
// after a restart.
func TestWithdrawnInstanceComesTooLate(t *testing.T) {
	s := newSite(t, nil)
	here, late := proposal(1, 512), proposal(2, 512)
	if _, err := s.Claim(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	withdraw := func(id fleet.InstanceID, ask fleet.Withdraw, want fleet.Withdrawn) {
		t.Helper()
		if got, err := s.Withdraw(t.Context(), id, ask); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	withdraw(here.ID, fleet.Withdraw{Attempt: 9, Surely: true}, fleet.Withdrawn{There: true})
	s.running(here.ID)
	withdraw(here.ID, fleet.Withdraw{Attempt: 9, Surely: true}, fleet.Withdrawn{There: true})
	withdraw(late.ID, fleet.Withdraw{Attempt: 2}, fleet.Withdrawn{})
	withdraw(late.ID, fleet.Withdraw{Attempt: 2, Surely: true}, fleet.Withdrawn{Refused: true})
	withdraw(late.ID, fleet.Withdraw{Attempt: 1, Surely: true}, fleet.Withdrawn{Refused: true})
	s.restart()
	late.Attempt = 2
	_, err := s.Claim(t.Context(), late)
	code(t, err, fleet.CodeRefused)
	late.Attempt = 3
	if _, err := s.Claim(t.Context(), late); err != nil {
		t.Errorf("a later attempt was refused too: %v", err)
	}
	if _, err := s.DeleteInstance(t.Context(), here.ID, patience); err != nil {
		t.Fatal(err)
	}
	withdraw(here.ID, fleet.Withdraw{Attempt: 1}, fleet.Withdrawn{Refused: true})
}
