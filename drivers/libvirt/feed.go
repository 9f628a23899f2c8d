package libvirt

import (
	"context"
	"fmt"
	"sync"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// feed is a subscription to domain events, on a connection of its own.
type feed struct {
	*conn
	events  chan happening
	done    chan struct{}
	running sync.WaitGroup
}

// happening is a domain event, as far as we tell them apart.
type happening struct {
	id       fleet.InstanceID
	rebooted bool
}

// openFeed subscribes. Events from then on are delivered until it is closed or
// the connection is lost.
func (s *session) openFeed(ctx context.Context) (*feed, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	f := &feed{conn: c, events: make(chan happening), done: make(chan struct{})}
	if err := c.guard(ctx, dialLimit, f.subscribe); err != nil {
		f.close()
		return nil, fmt.Errorf("subscribe to events: %w", err)
	}
	return f, nil
}

// subscribe asks for lifecycle events, reboots (which are none) and changes of
// metadata (an adoption, our own or a person's). The subscriptions end with
// the connection, hence no context.
func (f *feed) subscribe() error {
	lifecycle, err := f.rpc.LifecycleEvents(context.Background())
	if err != nil {
		return err
	}
	f.running.Go(func() {
		for e := range lifecycle {
			f.deliver(happening{id: fleet.InstanceID(e.Dom.UUID)})
		}
	})
	for _, kind := range []golibvirt.DomainEventID{golibvirt.DomainEventIDReboot, golibvirt.DomainEventIDMetadataChange} {
		events, err := f.rpc.SubscribeEvents(context.Background(), kind, nil)
		if err != nil {
			if isCode(err, golibvirt.ErrNoSupport) {
				continue
			}
			return err
		}
		f.running.Go(func() {
			for e := range events {
				f.deliver(happeningOf(e))
			}
		})
	}
	return nil
}

func happeningOf(event any) happening {
	switch e := event.(type) {
	case *golibvirt.DomainEventCallbackRebootMsg:
		return happening{id: fleet.InstanceID(e.Msg.Dom.UUID), rebooted: true}
	case *golibvirt.DomainEventCallbackMetadataChangeMsg:
		return happening{id: fleet.InstanceID(e.Dom.UUID)}
	default:
		return happening{}
	}
}

// deliver hands the event on; after close it drops it, so that go-libvirt's
// goroutines always get rid of theirs and end.
func (f *feed) deliver(h happening) {
	select {
	case f.events <- h:
	case <-f.done:
	}
}

// close hangs up and waits until go-libvirt has noticed.
func (f *feed) close() {
	close(f.done)
	_ = f.Close()
	f.running.Wait()
}

// Watch implements drivers.Driver.
func (d *Driver) Watch(ctx context.Context, changed func(drivers.Event)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := d.session.openFeed(ctx)
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer f.close()
	changed(drivers.Event{})
	for {
		select {
		case h := <-f.events:
			changed(drivers.Event{ID: h.id})
		case <-f.lost:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("watch: %w: the connection was lost", drivers.ErrUnavailable)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
