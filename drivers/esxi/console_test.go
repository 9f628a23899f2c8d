package esxi_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// open opens the screen of the lab's machine and hears the host's greeting.
func (l *lab) open(d drivers.Consoler) (console io.ReadWriteCloser, ended <-chan error) {
	l.t.Helper()
	console, err := d.OpenConsole(l.t.Context(), l.spec.Mark.ID, fleet.VNCConsole, false)
	l.must(err)
	greeting := make([]byte, 12)
	_, err = io.ReadFull(console, greeting)
	l.must(err)
	if string(greeting) != "RFB 003.008\n" {
		l.t.Errorf("greeted with %q", greeting)
	}
	end := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, console)
		end <- err
	}()
	return console, end
}

func (l *lab) end(what string, ended <-chan error) error {
	l.t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		l.t.Fatalf("%s: the screen goes on", what)
		return nil
	}
}

func TestScreenEndsForTheRightReason(t *testing.T) {
	l := newLab(t)
	running := deeds()[2] // stop, which needs one that runs
	l.begin(running)

	_, ended := l.open(l.d)
	l.act(fleet.Stop)
	if err := l.end("of a machine that stopped", ended); err != nil {
		t.Errorf("of a machine that stopped: got %v, want io.EOF", err)
	}

	l.act(fleet.Start)
	console, ended := l.open(l.d)
	l.must(console.Close())
	if err := l.end("that was closed", ended); err == nil {
		t.Error("a screen that was closed by its holder ended as if the machine had stopped")
	}

	first, ended := l.open(l.d)
	second, _ := l.open(l.d) // a ticket for each
	l.must(second.Close())
	l.h.host.Cut()
	if err := l.end("of a host that is cut off", ended); !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("of a host that is cut off: got %v, want ErrUnavailable", err)
	}
	l.must(first.Close())
	l.h.host.Restore()

	other := open(t, l.h.config())
	console, ended = l.open(other)
	l.must(other.Close())
	if err := l.end("of a driver that was closed", ended); !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("of a driver that was closed: got %v, want ErrUnavailable", err)
	}
	l.must(console.Close())
}

func TestScreenNeedsARunningManagedMachine(t *testing.T) {
	l := newLab(t)
	open := func(ctx context.Context, id fleet.InstanceID, kind fleet.ConsoleKind) error {
		_, err := l.d.OpenConsole(ctx, id, kind, false)
		return err
	}
	id := l.spec.Mark.ID
	if err := open(t.Context(), id, fleet.VNCConsole); !errors.Is(err, drivers.ErrNotFound) {
		t.Errorf("of no machine: got %v, want ErrNotFound", err)
	}
	l.begin(deeds()[1]) // start, which needs one that is stopped
	if err := open(t.Context(), id, fleet.VNCConsole); !errors.Is(err, drivers.ErrNotRunning) {
		t.Errorf("of a stopped machine: got %v, want ErrNotRunning", err)
	}
	l.act(fleet.Start)
	if err := open(t.Context(), id, fleet.SerialConsole); !errors.Is(err, drivers.ErrUnsupported) {
		t.Errorf("a serial one: got %v, want ErrUnsupported", err)
	}
	l.h.host.RefuseCall("AcquireTicket", "InvalidState")
	if err := open(t.Context(), id, fleet.VNCConsole); err == nil {
		t.Error("a refused ticket opened a screen")
	}
	l.h.host.NoMoreFaults()
	foreign := l.h.Define(t, "by hand")
	l.h.PowerOn(t, foreign)
	if err := open(t.Context(), foreign, fleet.VNCConsole); !errors.Is(err, drivers.ErrForeign) {
		t.Errorf("of a foreign machine: got %v, want ErrForeign", err)
	}
}
