package session

import (
	"context"
	"fmt"
	"sync"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/fleet"
)

// Feed is a subscription to domain events, on a connection of its own.
type Feed struct {
	conn    *conn
	events  chan Happening
	done    chan struct{}
	end     context.CancelFunc // ends the subscriptions
	running sync.WaitGroup
}

// Happening is a domain event, as far as we tell them apart.
type Happening struct {
	ID       fleet.InstanceID
	Rebooted bool
}

// OpenFeed subscribes. Events from then on are delivered until it is closed or
// the connection is lost.
func (s *Session) OpenFeed(ctx context.Context) (*Feed, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	subscriptions, end := context.WithCancel(context.Background())
	f := &Feed{conn: c, events: make(chan Happening), done: make(chan struct{}), end: end}
	if err := c.guard(ctx, dialLimit, func() error { return f.subscribe(subscriptions) }); err != nil {
		f.Close()
		return nil, fmt.Errorf("subscribe to events: %w", err)
	}
	return f, nil
}

// subscribe asks for lifecycle events, reboots (which are none), changes of
// metadata (an adoption, our own or a person's), and guest agents that come and
// go. The subscriptions end with the connection, but for one that is made while
// it is lost: that one ends with ctx.
func (f *Feed) subscribe(ctx context.Context) error {
	lifecycle, err := f.conn.rpc.LifecycleEvents(ctx)
	if err != nil {
		return err
	}
	f.running.Go(func() {
		for e := range lifecycle {
			f.deliver(Happening{ID: fleet.InstanceID(e.Dom.UUID)})
		}
	})
	for _, kind := range []golibvirt.DomainEventID{
		golibvirt.DomainEventIDReboot, golibvirt.DomainEventIDMetadataChange, golibvirt.DomainEventIDAgentLifecycle,
	} {
		events, err := f.conn.rpc.SubscribeEvents(ctx, kind, nil)
		if err != nil {
			if IsCode(err, golibvirt.ErrNoSupport) {
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

func happeningOf(event any) Happening {
	switch e := event.(type) {
	case *golibvirt.DomainEventCallbackRebootMsg:
		return Happening{ID: fleet.InstanceID(e.Msg.Dom.UUID), Rebooted: true}
	case *golibvirt.DomainEventCallbackMetadataChangeMsg:
		return Happening{ID: fleet.InstanceID(e.Dom.UUID)}
	case *golibvirt.DomainEventCallbackAgentLifecycleMsg:
		return Happening{ID: fleet.InstanceID(e.Dom.UUID)}
	default:
		return Happening{}
	}
}

// Events returns what happens, one at a time.
func (f *Feed) Events() <-chan Happening { return f.events }

// Lost is closed when the connection is gone.
func (f *Feed) Lost() <-chan struct{} { return f.conn.lost }

// deliver hands the event on; after Close it drops it, so that go-libvirt's
// goroutines always get rid of theirs and end.
func (f *Feed) deliver(h Happening) {
	select {
	case f.events <- h:
	case <-f.done:
	}
}

// Close hangs up and waits until go-libvirt has noticed.
func (f *Feed) Close() {
	close(f.done)
	_ = f.conn.Close()
	f.end()
	f.running.Wait()
}
