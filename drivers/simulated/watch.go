package simulated

import (
	"context"

	"grapevine/drivers"
	"grapevine/fleet"
)

// watch is one caller of Watch. What it has not yet been told is a set of ids,
// bounded by the number of machines.
type watch struct {
	pending map[fleet.InstanceID]struct{} // guarded by Hypervisor.mu
	wake    chan struct{}                 // holds one token while pending is not empty
}

// Watch implements drivers.Driver.
func (d *Driver) Watch(ctx context.Context, changed func(drivers.Event)) error {
	cut, done, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	w := &watch{pending: map[fleet.InstanceID]struct{}{}, wake: make(chan struct{}, 1)}
	d.h.subscribe(w)
	defer d.h.unsubscribe(w)
	changed(drivers.Event{})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cut:
			return errCut
		case <-d.closed:
			return errClosed
		case <-w.wake:
			for id := range d.h.drain(w) {
				changed(drivers.Event{ID: id})
			}
		}
	}
}

func (h *Hypervisor) subscribe(w *watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watches[w] = struct{}{}
}

func (h *Hypervisor) unsubscribe(w *watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watches, w)
}

// drain takes what w has not yet been told.
func (h *Hypervisor) drain(w *watch) map[fleet.InstanceID]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	pending := w.pending
	w.pending = map[fleet.InstanceID]struct{}{}
	return pending
}

// tell lets every watch know that the machine changed. The caller holds h.mu.
func (h *Hypervisor) tell(id fleet.InstanceID) {
	if h.deaf {
		return
	}
	for w := range h.watches {
		w.pending[id] = struct{}{}
		select {
		case w.wake <- struct{}{}:
		default: // a token is already there
		}
	}
}
