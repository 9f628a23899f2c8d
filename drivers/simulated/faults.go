package simulated

import (
	"context"
	"fmt"
	"sync"
	"time"

	"grapevine/drivers"
)

// The steps of a build, in order. A failure or a gate stands before the step;
// AfterDefine is the moment when the machine exists and Build has not returned.
const (
	BeforeDisk   = iota + 1 // nothing exists yet
	BeforeFill              // an empty disk exists
	BeforeDefine            // the disk holds the image
	AfterDefine             // the machine exists
)

var (
	errCut    = fmt.Errorf("%w: the simulated connection is cut", drivers.ErrUnavailable)
	errClosed = fmt.Errorf("%w: the driver is closed", drivers.ErrUnavailable)
)

// Cut makes the hypervisor stop answering: calls, also those under way, and
// watches end with ErrUnavailable. The machines go on.
func (h *Hypervisor) Cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.isCut {
		h.isCut = true
		close(h.cut)
	}
}

// Restore ends Cut.
func (h *Hypervisor) Restore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isCut {
		h.isCut = false
		h.cut = make(chan struct{})
	}
}

// SetLatency changes how long things take from now on.
func (h *Hypervisor) SetLatency(l Latency) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latency = l
}

// LoseEvents makes changes go untold while on.
func (h *Hypervisor) LoseEvents(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deaf = on
}

// FillStorage makes builds and imports fail with ErrOutOfSpace while on, and
// the host say that its storage is full.
func (h *Hypervisor) FillStorage(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.full = on
}

// Maintain takes the host out of use, or back into it, as a person does.
func (h *Hypervisor) Maintain(on bool) { h.maintenance.Store(on) }

// FailNextBuild makes the next build fail at the step.
func (h *Hypervisor) FailNextBuild(step int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failStep = step
}

// Gate holds a build at a step, so that a test can act in its middle.
type Gate struct {
	step    int
	once    sync.Once
	reached chan struct{}
	open    chan struct{}
}

// HoldNextBuild makes the next build wait at the step until Release.
func (h *Hypervisor) HoldNextBuild(step int) *Gate {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = &Gate{step: step, reached: make(chan struct{}), open: make(chan struct{})}
	return h.gate
}

// Reached is closed when a build has come to the gate.
func (g *Gate) Reached() <-chan struct{} { return g.reached }

// Release lets the build go on; it may be called more than once.
func (g *Gate) Release() { g.once.Do(func() { close(g.open) }) }

// pass spends the time of a build's step and meets the faults set for it.
func (c *call) pass(ctx context.Context, step int) error {
	h := c.d.h
	h.mu.Lock()
	wait := h.latency.BuildStep
	fail := h.failStep == step
	if fail {
		h.failStep = 0
	}
	var gate *Gate
	if h.gate != nil && h.gate.step == step {
		gate, h.gate = h.gate, nil
	}
	h.mu.Unlock()

	if gate != nil {
		close(gate.reached)
		if err := c.until(ctx, gate.open); err != nil {
			return err
		}
	}
	if err := c.sleep(ctx, wait); err != nil {
		return err
	}
	c.d.tell(Within)
	if err := c.ended(ctx); err != nil {
		return err
	}
	if fail {
		return fmt.Errorf("simulated failure at step %d", step)
	}
	return nil
}

// call is one call of a driver's method, with all but its context that can end
// it early.
type call struct {
	d   *Driver
	cut <-chan struct{}
}

// ended returns why the call has ended, nil while it has not.
func (c *call) ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.cut:
		return errCut
	case <-c.d.closed:
		return errClosed
	default:
		return nil
	}
}

// until waits for ready, unless the call ends first.
func (c *call) until(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	case <-c.cut:
	case <-c.d.closed:
	}
	return c.ended(ctx)
}

// sleep waits for the time d, unless the call ends first.
func (c *call) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return c.ended(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
	case <-c.cut:
	case <-c.d.closed:
	}
	return c.ended(ctx)
}
