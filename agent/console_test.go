package agent_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// ticket asks for a console.
func (s *site) ticket(id fleet.InstanceID, ask fleet.OpenConsole) fleet.ConsoleTicket {
	s.t.Helper()
	ticket, err := s.OpenConsole(s.t.Context(), id, ask)
	if err != nil {
		s.t.Fatal(err)
	}
	return ticket
}

// sit opens the console of a ticket, closed at the end of the test.
func (s *site) sit(ticket fleet.ConsoleTicket) *client.Console {
	s.t.Helper()
	console, err := s.Console(s.t.Context(), ticket)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = console.Close() })
	return console
}

var serial = fleet.OpenConsole{Kind: fleet.SerialConsole}

// hears types a line and reads until the guest says it back.
func hears(t *testing.T, console io.ReadWriter, line string) {
	t.Helper()
	if _, err := io.WriteString(console, line+"\r"); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	chunk := make([]byte, 1024)
	for !strings.Contains(shown.String(), "heard "+line) {
		n, err := console.Read(chunk)
		if err != nil {
			t.Fatalf("after %q: %v", shown.String(), err)
		}
		shown.Write(chunk[:n])
	}
}

// ended reads until the console ends.
func ended(console io.Reader) error {
	_, err := io.Copy(io.Discard, console)
	return err
}

func TestConsoleByTicket(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	ticket := s.ticket(id, serial)
	if !strings.HasPrefix(ticket.URL, "wss://"+s.agent.Addr()+"/v1/instances/"+id.String()+"/console?token=") || ticket.HostName != "host-1" {
		t.Errorf("the ticket is %+v", ticket)
	}
	console := s.sit(ticket)
	hears(t, console, "hello")
	_, err := s.Console(t.Context(), ticket)
	code(t, err, fleet.CodeUnauthenticated)

	other := s.ticket(id, fleet.OpenConsole{Kind: fleet.SerialConsole})
	_, err = s.Console(t.Context(), other)
	code(t, err, fleet.CodeConflict)
	second := s.sit(s.ticket(id, fleet.OpenConsole{Kind: fleet.SerialConsole, Force: true}))
	if err := ended(console); fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), "has taken the console over") {
		t.Errorf("the first console ended with %v, want who has taken it", err)
	}
	hears(t, second, "mine now")
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := ended(second); err != nil {
		t.Errorf("the console of a machine that stopped ended with %v, want io.EOF", err)
	}
	s.until("it is stopped", func() bool { row := s.row(id); return row.Power == fleet.PowerStopped && row.Task == fleet.TaskNone })
	_, err = s.OpenConsole(t.Context(), id, serial)
	code(t, err, fleet.CodeConflict)
}

func TestConsoleOfWhatHasNone(t *testing.T) {
	s := newSiteOn(t, simulated.Config{Hypervisor: fleet.Xen, Hardware: "board-1", Resources: fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 100}}, nil)
	id := s.built()
	_, err := s.OpenConsole(t.Context(), id, fleet.OpenConsole{Kind: fleet.VNCConsole})
	code(t, err, fleet.CodeUnsupported)
	_, err = s.OpenConsole(t.Context(), id, fleet.OpenConsole{Kind: "telnet"})
	code(t, err, fleet.CodeInvalid)
	_, err = s.OpenConsole(t.Context(), fleet.UUID{7}, serial)
	code(t, err, fleet.CodeNotFound)
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "by-hand", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}, Running: true})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(foreign) != nil })
	_, err = s.OpenConsole(t.Context(), foreign, serial)
	code(t, err, fleet.CodeNotManaged)
}

func TestScreenIsCarried(t *testing.T) {
	s := newSite(t, nil)
	console := s.sit(s.ticket(s.built(), fleet.OpenConsole{Kind: fleet.VNCConsole}))
	hello := make([]byte, 12)
	if _, err := io.ReadFull(console, hello); err != nil || string(hello) != "RFB 003.008\n" {
		t.Errorf("got %q, %v", hello, err)
	}
}

func TestStoppingAgentEndsConsolesAndFollowedLogs(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	console := s.sit(s.ticket(id, serial))
	log, err := s.InstanceLog(t.Context(), id, fleet.LogRange{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := io.ReadFull(log, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := ended(console); fleet.CodeOf(err) != fleet.CodeNotReady {
		t.Errorf("the console ended with %v, want not_ready", err)
	}
	if err := ended(log); errors.Is(err, io.EOF) {
		t.Errorf("the log ended with %v, want that it was cut off", err)
	}
	s.start()
}
