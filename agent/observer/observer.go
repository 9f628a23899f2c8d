// Package observer watches a hypervisor through its driver and keeps the
// picture of what it was last seen to say: by events at once, and by a full
// listing every few seconds as the net under them.
//
// It only looks. A hypervisor that does not answer leaves the picture as it
// is, marked with the fault: not answering is never read as stopped.
package observer

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// Config says how to observe.
type Config struct {
	Driver drivers.Driver
	// Every is the time between full listings.
	Every time.Duration
	// Changed is called, from several goroutines, after the picture changed. It
	// must not block for long.
	Changed func()
	Log     *slog.Logger
}

const (
	// describeEvery is how many listings pass between descriptions of the host
	// and its images, which rarely change behind the agent's back.
	describeEvery = 6
	// backoffFirst and backoffLast bound the wait before a lost hypervisor is
	// tried again: soon enough that its return is seen within seconds.
	backoffFirst = 100 * time.Millisecond
	backoffLast  = 2 * time.Second
)

// Observer keeps the picture. Make it with New and run it with Run.
type Observer struct {
	cfg Config

	mu     sync.Mutex
	canvas *canvas
	dirty  map[fleet.InstanceID]bool
	blind  int    // listings that failed in a row
	unsaid string // why the host was last not described, empty while it is

	complete    chan struct{} // closed after the first full listing
	wakeList    chan struct{} // a full listing is due
	wakeInspect chan struct{} // dirty is not empty
}

// New returns an observer that has seen nothing yet.
func New(cfg Config) *Observer {
	return &Observer{
		cfg:         cfg,
		canvas:      newCanvas(),
		dirty:       map[fleet.InstanceID]bool{},
		complete:    make(chan struct{}),
		wakeList:    make(chan struct{}, 1),
		wakeInspect: make(chan struct{}, 1),
	}
}

// Picture returns a copy of what is known.
func (o *Observer) Picture() Picture {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.canvas.copied()
}

// Complete is closed once the hypervisor has been described and listed in full.
func (o *Observer) Complete() <-chan struct{} { return o.complete }

// Recall gives the observer what was seen before a restart, to be shown as last
// seen while the hypervisor does not answer. Call it before Run.
func (o *Observer) Recall(p Picture) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.Complete = false
	o.canvas.Picture = p
}

// Machine returns one machine of the picture, without copying the others.
func (o *Observer) Machine(id fleet.InstanceID) (Sighting, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, there := o.canvas.Machines[id]
	return s, there
}

// Images returns the images of the picture. The caller must not change them.
func (o *Observer) Images() []fleet.Image {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.canvas.Images
}

// Description returns what the picture says of the host.
func (o *Observer) Description() drivers.Description {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.canvas.Description
}

// Run observes until ctx ends.
func (o *Observer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, loop := range []func(context.Context){o.watch, o.list, o.inspect} {
		wg.Go(func() { loop(ctx) })
	}
	wg.Wait()
	return ctx.Err()
}

// watch follows the hypervisor's events, again and again.
func (o *Observer) watch(ctx context.Context) {
	backoff := backoffFirst
	for ctx.Err() == nil {
		err := o.cfg.Driver.Watch(ctx, func(e drivers.Event) {
			backoff = backoffFirst
			if e.ID.IsZero() {
				wake(o.wakeList)
				return
			}
			o.mu.Lock()
			o.dirty[e.ID] = true
			o.mu.Unlock()
			wake(o.wakeInspect)
		})
		if ctx.Err() != nil {
			return
		}
		_ = o.lost(err) // said there; the listing asks again
		wake(o.wakeList)
		pause.UpTo(ctx, backoff)
		backoff = min(2*backoff, backoffLast)
	}
}

// list takes full listings, on time and when woken.
func (o *Observer) list(ctx context.Context) {
	timer := time.NewTicker(o.cfg.Every)
	defer timer.Stop()
	for n := 0; ; n++ {
		if err := o.Relist(ctx, n%describeEvery == 0); err != nil && ctx.Err() == nil {
			o.cfg.Log.Debug("listing failed", "error", err)
			n = -1 // describe the host again once it answers
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-o.wakeList:
		}
	}
}

// inspect looks again at single machines that events named.
func (o *Observer) inspect(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wakeInspect:
		}
		o.mu.Lock()
		ids := o.dirty
		o.dirty = map[fleet.InstanceID]bool{}
		o.mu.Unlock()
		for id := range ids {
			if err := o.Look(ctx, id); err != nil && ctx.Err() == nil {
				o.cfg.Log.Debug("inspection failed", "instance", id, "error", err)
			}
		}
	}
}

// Look inspects one machine now, and returns when the picture shows it.
func (o *Observer) Look(ctx context.Context, id fleet.InstanceID) error {
	ticket := o.draw()
	m, err := o.cfg.Driver.Inspect(ctx, id)
	switch {
	case errors.Is(err, drivers.ErrNotFound):
		o.change(func(c *canvas) bool { return c.missed(ticket, id) })
		return nil
	case err != nil:
		return o.lost(err)
	}
	o.change(func(c *canvas) bool { return c.saw(ticket, m, time.Now()) })
	return nil
}

// LookImages lists the images now. A driver without images has none.
func (o *Observer) LookImages(ctx context.Context) error {
	store, ok := o.cfg.Driver.(drivers.ImageStore)
	if !ok {
		return nil
	}
	images, err := store.Images(ctx)
	if err != nil {
		return o.lost(err)
	}
	o.change(func(c *canvas) bool {
		changed := !reflect.DeepEqual(c.Images, images)
		c.Images = images
		return changed
	})
	return nil
}

// lost marks the hypervisor as not answering, if that is what err says, and
// returns err.
func (o *Observer) lost(err error) error {
	if errors.Is(err, drivers.ErrUnavailable) {
		o.fault(err)
	}
	return err
}

// fault marks the machines as last seen, and says why.
func (o *Observer) fault(err error) {
	o.change(func(c *canvas) bool {
		if c.Fault != "" {
			return false
		}
		c.Fault, c.FaultSince = err.Error(), time.Now()
		o.cfg.Log.Warn("hypervisor does not answer; its machines stay as last seen", "error", err)
		return true
	})
}

func (o *Observer) draw() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.canvas.ticket()
}

// change applies fn under the lock and tells of it outside.
func (o *Observer) change(fn func(c *canvas) bool) {
	o.mu.Lock()
	changed := fn(o.canvas)
	o.mu.Unlock()
	if changed {
		o.cfg.Changed()
	}
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
