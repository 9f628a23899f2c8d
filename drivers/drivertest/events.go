package drivertest

import (
	"context"
	"errors"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

// watching is a Watch under way.
type watching struct {
	k      *kit
	stop   context.CancelFunc
	ended  chan error
	mu     sync.Mutex
	events []drivers.Event
}

// watch starts to watch and returns when the zero Event has come.
func (k *kit) watch(d drivers.Driver) *watching {
	k.Helper()
	ctx, cancel := context.WithCancel(k.Context())
	w := &watching{k: k, stop: cancel, ended: make(chan error, 1)}
	var running sync.WaitGroup
	running.Go(func() {
		w.ended <- d.Watch(ctx, func(e drivers.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		})
	})
	k.Cleanup(func() { cancel(); running.Wait() })
	k.eventually("Watch begins", func() bool { return w.seen() > 0 })
	if e := w.since(0)[0]; !e.ID.IsZero() {
		k.Errorf("Watch begins with an event of %s; want the zero Event", e.ID)
	}
	return w
}

func (w *watching) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

func (w *watching) since(n int) []drivers.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]drivers.Event(nil), w.events[n:]...)
}

// after does something and waits for an event that covers the machine.
func (w *watching) after(what string, id func() fleet.InstanceID) {
	w.k.Helper()
	n := w.seen()
	about := id()
	w.k.eventually("an event after "+what, func() bool {
		for _, e := range w.since(n) {
			if e.ID == about || e.ID.IsZero() {
				return true
			}
		}
		return false
	})
}

func eventFollows(k *kit) {
	w := k.watch(k.d)
	var foreign fleet.InstanceID
	w.after("define", func() fleet.InstanceID { foreign = k.define("watched"); return foreign })
	do := func(what string, id fleet.InstanceID, fn func()) {
		k.Helper()
		w.after(what, func() fleet.InstanceID { fn(); return id })
	}
	do("power on", foreign, func() { k.h.PowerOn(k, foreign) })
	do("power off", foreign, func() { k.h.PowerOff(k, foreign) })
	do("adopt", foreign, func() { k.must(k.d.Adopt(k.Context(), foreign, drivers.Mark{ID: foreign, Name: "watched"})) })
	do("disown", foreign, func() { k.must(k.d.Disown(k.Context(), foreign)) })
	do("remove", foreign, func() { k.h.Remove(k, foreign) })

	spec := k.spec("watched too")
	id := spec.Mark.ID
	do("build", id, func() { k.must(k.d.Build(k.Context(), spec)) })
	do("start", id, func() { k.act(id, fleet.Start) })
	do("stop", id, func() { k.act(id, fleet.Stop) })
	do("delete", id, func() { k.must(k.d.Delete(k.Context(), id)) })

	w.end()
}

// end cancels the Watch and holds it to saying so.
func (w *watching) end() {
	w.k.Helper()
	w.stop()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		w.k.Errorf("a cancelled Watch returned %v, want context.Canceled", err)
	}
}

// lostEventRepaired changes things while nobody watches: the next List has
// them, whatever was seen before.
func lostEventRepaired(k *kit) {
	id := k.define("unseen")
	w := k.watch(k.d)
	k.list()
	w.end()
	k.h.PowerOn(k, id)
	k.wantPower(id, fleet.PowerRunning)
	for _, m := range k.list() {
		if m.ID == id && m.Power != fleet.PowerRunning {
			k.Errorf("listed as %s after power on", m.Power)
		}
	}
	k.h.PowerOff(k, id)
	k.h.Remove(k, id)
	if n := k.count(id); n != 0 {
		k.Error("a removed machine is still listed")
	}
}
