package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// seat is a place in front of a machine, with all that was read there.
type seat struct {
	io.WriteCloser
	mu    sync.Mutex
	heard bytes.Buffer
	ended chan struct{} // closed when err is set
	err   error
}

func listen(r io.Reader) *seat {
	s := &seat{ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		chunk := make([]byte, 4096)
		for s.err == nil {
			var n int
			n, s.err = r.Read(chunk)
			s.mu.Lock()
			s.heard.Write(chunk[:n])
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *seat) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.String()
}

func (s *seat) says(word string) bool { return strings.Contains(s.text(), word) }

// sit opens a console, closed at the end of the case.
func (k *kit) sit(d drivers.Driver, id fleet.InstanceID, kind fleet.ConsoleKind, force bool) *seat {
	k.Helper()
	console, err := d.(drivers.Consoler).OpenConsole(k.Context(), id, kind, force)
	k.must(err)
	s := listen(console)
	s.WriteCloser = console
	k.Cleanup(func() {
		_ = console.Close()
		<-s.ended
	})
	return s
}

// say types a line until the guest has said it back: one that still boots loses
// what is typed.
func (k *kit) say(s *seat, line string) {
	k.Helper()
	var last time.Time
	k.eventually("the guest hears "+line, func() bool {
		if time.Since(last) > time.Second {
			last = time.Now()
			if _, err := io.WriteString(s, line+"\r"); err != nil {
				k.Fatalf("type %q: %v", line, err)
			}
		}
		return s.says("heard " + line)
	})
}

// end waits for the end of the console and returns why.
func (k *kit) end(s *seat) error {
	k.Helper()
	select {
	case <-s.ended:
		return s.err
	case <-time.After(k.facts.Patience):
		k.Fatalf("the console goes on")
		return nil
	}
}

// started makes a running machine.
func (k *kit) started(name string) fleet.InstanceID {
	k.Helper()
	id := k.build(name)
	k.act(id, fleet.Start)
	return id
}

func consoleEchoes(k *kit) {
	id := k.started("echo")
	s := k.sit(k.d, id, fleet.SerialConsole, false)
	k.say(s, "hello there")
	k.eventually("the log has what the console showed", func() bool {
		return strings.Contains(k.logged(id, fleet.LogRange{}), "heard hello there")
	})
	k.must(s.Close())
	if err := k.end(s); err == nil {
		k.Error("a read goes on after the console was closed")
	}
	k.say(k.sit(k.d, id, fleet.SerialConsole, false), "again")
}

func consoleNeedsAMachine(k *kit) {
	open := func(id fleet.InstanceID) error {
		_, err := ability[drivers.Consoler](k).OpenConsole(k.Context(), id, fleet.SerialConsole, true)
		return err
	}
	if err := open(newID()); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("console of a machine that is not there: got %v, want ErrNotFound", err)
	}
	id := k.build("down")
	if err := open(id); !errors.Is(err, drivers.ErrNotRunning) {
		k.Errorf("console of a stopped machine: got %v, want ErrNotRunning", err)
	}
	k.act(id, fleet.Start)
	k.act(id, fleet.Stop)
	if err := open(id); !errors.Is(err, drivers.ErrNotRunning) {
		k.Errorf("console of a machine that was stopped: got %v, want ErrNotRunning", err)
	}
	foreign := k.define("by-hand")
	k.h.PowerOn(k, foreign)
	if err := open(foreign); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("console of a foreign machine: got %v, want ErrForeign", err)
	}
}

func consoleHasOneHolder(k *kit) {
	id := k.started("one")
	first := k.sit(k.d, id, fleet.SerialConsole, false)
	other := k.open()
	for _, d := range []drivers.Driver{k.d, other} {
		if _, err := d.(drivers.Consoler).OpenConsole(k.Context(), id, fleet.SerialConsole, false); !errors.Is(err, drivers.ErrConsoleHeld) {
			k.Errorf("second console: got %v, want ErrConsoleHeld", err)
		}
	}
	k.say(first, "still here")
	second := k.sit(other, id, fleet.SerialConsole, true)
	if err := k.end(first); err == nil {
		k.Error("the first console goes on beside the second")
	}
	k.say(second, "taken over")
	k.must(second.Close())
	k.say(k.sit(k.d, id, fleet.SerialConsole, false), "free again")
}

func consoleEnds(k *kit) {
	id := k.started("ends")
	s := k.sit(k.d, id, fleet.SerialConsole, false)
	k.say(s, "up")
	k.act(id, fleet.Stop)
	if err := k.end(s); !errors.Is(err, io.EOF) {
		k.Errorf("console of a machine that has stopped: got %v, want io.EOF", err)
	}
	k.act(id, fleet.Start)
	k.say(k.sit(k.d, id, fleet.SerialConsole, false), "up again")
}

// logged is a console's log.
func (k *kit) logged(id fleet.InstanceID, part fleet.LogRange) string {
	k.Helper()
	r, err := ability[drivers.ConsoleLogger](k).ConsoleLog(k.Context(), id, part)
	k.must(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	k.must(err)
	return string(b)
}

// logStaysBounded makes the guest print twice what is kept, and follows it.
func logStaysBounded(k *kit) {
	id := k.started("talkative")
	s := k.sit(k.d, id, fleet.SerialConsole, false)
	k.say(s, "begin")
	ctx, cancel := context.WithCancel(k.Context())
	r, err := ability[drivers.ConsoleLogger](k).ConsoleLog(ctx, id, fleet.LogRange{Follow: true})
	k.must(err)
	follower := listen(r)
	defer func() {
		cancel()
		<-follower.ended
		k.must(r.Close())
	}()
	line := func(n int) string { return fmt.Sprintf("line %04d%s", n, strings.Repeat(".", 400)) }
	lines := max(int(2*k.facts.LogBound/800), 20) // each is echoed, and said back
	for n := range lines {
		k.say(s, line(n))
	}
	k.eventually("the follower has the last line", func() bool { return follower.says("heard " + line(lines-1)) })
	for n := range lines {
		if !follower.says("heard " + line(n)) {
			k.Fatalf("the follower has missed line %d of %d", n, lines)
		}
	}
	all := k.logged(id, fleet.LogRange{})
	if k.facts.LogBound > 0 {
		k.wantBounded(all, line(0), line(lines-1))
	}
	if tail := k.logged(id, fleet.LogRange{Tail: 300}); len(tail) != 300 || !strings.HasSuffix(all, tail) {
		k.Errorf("the last 300 bytes: got %q", tail)
	}
	k.must(k.d.Delete(k.Context(), id))
	if err := k.end(follower); !errors.Is(err, io.EOF) {
		k.Errorf("followed log of a machine that was deleted: got %v, want io.EOF", err)
	}
}

// wantBounded says whether a log holds the newest line in place of the oldest.
func (k *kit) wantBounded(all, oldest, newest string) {
	k.Helper()
	if size := int64(len(all)); size > k.facts.LogBound {
		k.Errorf("the log has %d bytes, want at most %d", size, k.facts.LogBound)
	}
	if strings.Contains(all, oldest) || !strings.Contains(all, newest) {
		k.Errorf("the log does not hold the newest lines in place of the oldest")
	}
}

// screened makes a running machine with a screen.
func (k *kit) screened(name string) fleet.InstanceID {
	k.Helper()
	spec := k.spec(name)
	if s, ok := k.h.(Screener); ok {
		im, content := s.Screen()
		k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
		spec.Image, spec.Mark.Image = im, im.ID
	}
	k.must(k.d.Build(k.Context(), spec))
	k.act(spec.Mark.ID, fleet.Start)
	return spec.Mark.ID
}

func vncSpeaksRFB(k *kit) {
	id := k.screened("screen")
	s := k.sit(k.d, id, fleet.VNCConsole, false)
	k.eventually("the server says which RFB it speaks", func() bool { return strings.HasPrefix(s.text(), "RFB 003.") })
	k.must(writeAll(s, "RFB 003.008\n"))
	// One security type, and it is that there is none: who may come here is
	// decided before.
	k.eventually("the server needs no password", func() bool { return strings.HasPrefix(s.text()[12:], "\x01\x01") })
	k.must(writeAll(s, "\x01"))
	k.eventually("the server lets us in", func() bool { return strings.HasPrefix(s.text()[14:], "\x00\x00\x00\x00") })
	k.must(writeAll(s, "\x01"))
	k.eventually("the server describes its screen", func() bool { return len(s.text()) > 18+24 })
	if size := s.text()[18:22]; size[:2] == "\x00\x00" || size[2:] == "\x00\x00" {
		k.Errorf("the screen's size is %q", size)
	}
	k.act(id, fleet.Stop)
	if err := k.end(s); !errors.Is(err, io.EOF) {
		k.Errorf("screen of a machine that has stopped: got %v, want io.EOF", err)
	}
}

func writeAll(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
