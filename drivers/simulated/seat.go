package simulated

import (
	"context"
	"fmt"
	"io"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Consoler = (*Driver)(nil)

// OpenConsole implements drivers.Consoler.
func (d *Driver) OpenConsole(ctx context.Context, id fleet.InstanceID, kind fleet.ConsoleKind, force bool) (io.ReadWriteCloser, error) {
	c, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s console of %s: %w", kind, id, err)
	}
	defer done()
	s, err := d.h.sit(c, id, kind, force)
	if err != nil {
		return nil, fmt.Errorf("open %s console of %s: %w", kind, id, err)
	}
	return s, nil
}

// sit gives out the place in front of a machine.
func (h *Hypervisor) sit(c *call, id fleet.InstanceID, kind fleet.ConsoleKind, force bool) (io.ReadWriteCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[id]
	switch {
	case !ok:
		return nil, drivers.ErrNotFound
	case m.Mark == nil:
		return nil, drivers.ErrForeign
	case kind == fleet.VNCConsole && !h.hasScreens():
		return nil, drivers.ErrUnsupported
	case !m.Power.Awake():
		return nil, drivers.ErrNotRunning
	}
	place := &seat{h: h, call: c, id: id, start: m.starts, left: make(chan struct{})}
	if kind == fleet.VNCConsole {
		return newScreen(place), nil
	}
	if held := h.seats[id]; held != nil && held.taken() {
		if !force {
			return nil, drivers.ErrConsoleHeld
		}
		held.leave()
	}
	h.seats[id] = place
	return &terminal{seat: place, pos: m.Forgotten + int64(len(m.Console))}, nil
}

// seat is a place in front of a machine, for as long as the machine runs on.
type seat struct {
	h     *Hypervisor
	call  *call
	id    fleet.InstanceID
	start int           // which of the machine's starts it sat down at
	once  sync.Once     // closes left
	left  chan struct{} // closed when nobody sits here any more
}

func (s *seat) leave() { s.once.Do(func() { close(s.left) }) }

// taken reports whether somebody sits here. The caller holds h.mu.
func (s *seat) taken() bool {
	_, err := s.machine()
	return err == nil && s.call.ended(context.Background()) == nil
}

// machine returns the machine, or why there is nobody in front of it any more.
// The caller holds h.mu.
func (s *seat) machine() (*machine, error) {
	select {
	case <-s.left:
		return nil, io.ErrClosedPipe
	default:
	}
	m, ok := s.h.machines[s.id]
	if !ok || !m.Power.Awake() || m.starts != s.start {
		return nil, io.EOF
	}
	return m, nil
}

// wait returns when more is closed, or with the seat's end.
func (s *seat) wait(more <-chan struct{}) error {
	select {
	case <-more:
		return nil
	case <-s.left:
		return io.ErrClosedPipe
	case <-s.call.cut:
		return errCut
	case <-s.call.d.closed:
		return errClosed
	}
}

// Close implements io.Closer.
func (s *seat) Close() error {
	s.leave()
	return nil
}
