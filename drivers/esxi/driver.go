package esxi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/keyed"
)

// Driver drives one ESXi host. It connects when it is first asked something,
// and again after the connection or the login was lost.
type Driver struct {
	config Config
	url    *url.URL
	log    *slog.Logger

	turn     chan struct{} // held by the one who connects
	calls    sync.WaitGroup
	builds   keyed.Lock[fleet.InstanceID]
	imports  keyed.Lock[string] // by the image's id
	mu       sync.Mutex         // guards all below
	current  *session           // nil while there is none
	refused  refusal            // the last login that the host refused
	isClosed bool
	// under holds what ends the calls under way; Close calls them all.
	under map[*call]struct{}
	// names remembers the id of each machine seen, by the host's own
	// reference, for the time when a machine cannot be read and for its end.
	names map[string]fleet.InstanceID
}

var (
	_ drivers.Driver     = (*Driver)(nil)
	_ drivers.ImageStore = (*Driver)(nil)
)

// New returns a driver for the host, without asking it anything. It fails when
// the configuration cannot be right.
func New(config Config) (*Driver, error) {
	u, err := config.address()
	if err != nil {
		return nil, err
	}
	config.Network = cmp.Or(config.Network, "VM Network")
	return &Driver{
		config: config, url: u, log: cmp.Or(config.Log, slog.Default()),
		turn: make(chan struct{}, 1), under: map[*call]struct{}{}, names: map[string]fleet.InstanceID{},
	}, nil
}

// errClosed is what calls return after Close.
var errClosed = fmt.Errorf("%w: the driver is closed", drivers.ErrUnavailable)

// begin starts a call: its context ends also when the driver is closed.
func (d *Driver) begin(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed {
		return nil, nil, errClosed
	}
	d.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	c := &call{cancel}
	d.under[c] = struct{}{}
	return ctx, func() {
		d.mu.Lock()
		delete(d.under, c)
		d.mu.Unlock()
		cancel(nil)
		d.calls.Done()
	}, nil
}

// call is a call under way.
type call struct{ end context.CancelCauseFunc }

// do runs fn on a session. A lost login is renewed beneath it; a session that
// does not work any more is dropped, and the next call makes another.
func (d *Driver) do(ctx context.Context, what string, fn func(ctx context.Context, s *session) error) error {
	ctx, done, err := d.begin(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer done()
	s, err := d.session(ctx)
	if err == nil {
		err = classify(fn(ctx, s))
		if isUnavailable(err) {
			d.forget(s)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, ended(ctx, err))
	}
	return nil
}

// ended returns why the context ended, if it did, and else err.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// cleanTime bounds what a call still does on the host after its context has
// ended: waiting for a task to end, and undoing.
const cleanTime = 30 * time.Second

// steady is a context for what must not be left half done.
func steady(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
}

// Close logs out and waits for the calls under way, which end.
func (d *Driver) Close() error {
	d.mu.Lock()
	first := !d.isClosed
	if first {
		d.isClosed = true
		for c := range d.under {
			c.end(errClosed)
		}
	}
	d.mu.Unlock()
	d.calls.Wait()
	if !first {
		return nil
	}
	d.mu.Lock()
	s := d.current
	d.current = nil
	d.mu.Unlock()
	if s != nil {
		s.logout()
	}
	return nil
}
