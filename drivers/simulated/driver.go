package simulated

import (
	"context"
	"fmt"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Driver is one connection to a Hypervisor.
type Driver struct {
	h        *Hypervisor
	calls    sync.WaitGroup
	mu       sync.Mutex // orders calls.Add against Close's Wait
	closed   chan struct{}
	isClosed bool
	steps    func(Step)
}

// Step is a moment of a call at which who called may be killed.
type Step string

// The steps of a call. Within is where the machine is half done, as far as this
// hypervisor knows of halves.
const (
	Before Step = "before"
	Within Step = "within"
	After  Step = "after"
)

// Tell has every step of every call told to f, which may block there; the stack
// says which call it is. It is called before the first of them.
func (d *Driver) Tell(f func(Step)) { d.steps = f }

func (d *Driver) tell(at Step) {
	if d.steps != nil {
		d.steps(at)
	}
}

var (
	_ drivers.Driver     = (*Driver)(nil)
	_ drivers.ImageStore = (*Driver)(nil)
)

// Connect returns a new connection. Any number may exist at once.
func (h *Hypervisor) Connect() *Driver {
	return &Driver{h: h, closed: make(chan struct{})}
}

// Close ends the calls under way and waits for them. The machines go on.
func (d *Driver) Close() error {
	d.mu.Lock()
	if !d.isClosed {
		d.isClosed = true
		close(d.closed)
	}
	d.mu.Unlock()
	d.calls.Wait()
	return nil
}

// enter begins a call: it returns the channel that is closed when the
// connection is lost, and what the caller must call at its end.
func (d *Driver) enter(ctx context.Context) (cut <-chan struct{}, done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	d.tell(Before)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed {
		return nil, nil, errClosed
	}
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if d.h.isCut {
		return nil, nil, errCut
	}
	d.calls.Add(1)
	return d.h.cut, func() { d.calls.Done(); d.tell(After) }, nil
}

// begin is enter for calls that take the latency of a call.
func (d *Driver) begin(ctx context.Context) (*call, func(), error) {
	cut, done, err := d.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	c := &call{d: d, cut: cut}
	d.h.mu.Lock()
	wait := d.h.latency.Call
	d.h.mu.Unlock()
	if err := c.sleep(ctx, wait); err != nil {
		done()
		return nil, nil, err
	}
	return c, done, nil
}

// Describe implements drivers.Driver.
func (d *Driver) Describe(ctx context.Context) (drivers.Description, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return drivers.Description{}, fmt.Errorf("describe host: %w", err)
	}
	defer done()
	desc := d.h.describe()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	desc.StorageFull = d.h.full
	return desc, nil
}

// List implements drivers.Driver.
func (d *Driver) List(ctx context.Context) ([]drivers.Machine, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	defer done()
	return d.h.Machines(), nil
}

// Inspect implements drivers.Driver.
func (d *Driver) Inspect(ctx context.Context, id fleet.InstanceID) (drivers.Machine, error) {
	_, done, err := d.begin(ctx)
	if err != nil {
		return drivers.Machine{}, fmt.Errorf("inspect machine %s: %w", id, err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	m, ok := d.h.machines[id]
	if !ok {
		return drivers.Machine{}, fmt.Errorf("inspect machine %s: %w", id, drivers.ErrNotFound)
	}
	return m.view(), nil
}
