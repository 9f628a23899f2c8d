package consoles

import (
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

func pass(n byte) Pass {
	return Pass{Instance: fleet.UUID{n}, OpenConsole: fleet.OpenConsole{Kind: fleet.SerialConsole}, Who: "operator"}
}

func issue(t *testing.T, tickets *Tickets, p Pass) string {
	t.Helper()
	token, _, err := tickets.Issue(p)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTicketOpensOnceAndOnlyItsInstance(t *testing.T) {
	var tickets Tickets
	token := issue(t, &tickets, pass(1))
	if got, ok := tickets.Redeem(token, fleet.UUID{1}); !ok || got != pass(1) {
		t.Errorf("got %+v, %v; want the pass", got, ok)
	}
	if _, ok := tickets.Redeem(token, fleet.UUID{1}); ok {
		t.Error("the ticket opens twice")
	}
	token = issue(t, &tickets, pass(1))
	if _, ok := tickets.Redeem(token, fleet.UUID{2}); ok {
		t.Error("the ticket opens another instance")
	}
	if _, ok := tickets.Redeem(token, fleet.UUID{1}); ok {
		t.Error("a ticket that was shown for another instance is still good")
	}
	for _, wrong := range []string{"", "x", token + "x", token[1:]} {
		if _, ok := tickets.Redeem(wrong, fleet.UUID{1}); ok {
			t.Errorf("%q opens", wrong)
		}
	}
}

func TestTicketExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tickets Tickets
		token := issue(t, &tickets, pass(1))
		time.Sleep(fleet.ConsoleTicketLife)
		if _, ok := tickets.Redeem(token, fleet.UUID{1}); !ok {
			t.Error("it does not open at the end of its life")
		}
		token = issue(t, &tickets, pass(1))
		time.Sleep(fleet.ConsoleTicketLife + time.Nanosecond)
		if _, ok := tickets.Redeem(token, fleet.UUID{1}); ok {
			t.Error("it opens after the end of its life")
		}
	})
}

func TestTicketsAreBoundedAndMakeRoomWhenTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tickets Tickets
		for range fleet.MaxConsoleTickets {
			issue(t, &tickets, pass(1))
		}
		if _, _, err := tickets.Issue(pass(1)); fleet.CodeOf(err) != fleet.CodeTooMany {
			t.Errorf("got %v, want too_many", err)
		}
		time.Sleep(fleet.ConsoleTicketLife + time.Nanosecond)
		issue(t, &tickets, pass(1))
	})
}
