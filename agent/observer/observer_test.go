package observer_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// hypervisor is a driver whose answers the test writes, and can hold back.
type hypervisor struct {
	drivers.Driver
	mu       sync.Mutex
	machines map[fleet.InstanceID]fleet.Power
	down     bool
	// badHost and badList are what the hypervisor says instead of an answer.
	badHost, badList error
	// listDelay is how long a listing takes after it was taken.
	listDelay time.Duration
	lists     int
	events    chan drivers.Event
}

func newHypervisor() *hypervisor {
	return &hypervisor{machines: map[fleet.InstanceID]fleet.Power{}, events: make(chan drivers.Event, 10)}
}

func (h *hypervisor) set(id byte, power fleet.Power) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.machines[fleet.UUID{id}] = power
}

func (h *hypervisor) setDown(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *hypervisor) answers() error {
	if h.down {
		return fmt.Errorf("socket: %w", drivers.ErrUnavailable)
	}
	return nil
}

func (h *hypervisor) Describe(context.Context) (drivers.Description, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return drivers.Description{Hypervisor: fleet.KVM}, cmp.Or(h.answers(), h.badHost)
}

func (h *hypervisor) List(context.Context) ([]drivers.Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lists++
	var out []drivers.Machine
	for id, power := range h.machines {
		out = append(out, drivers.Machine{ID: id, Power: power})
	}
	err := cmp.Or(h.answers(), h.badList)
	if h.listDelay > 0 {
		delay := h.listDelay
		h.mu.Unlock()
		time.Sleep(delay)
		h.mu.Lock()
	}
	return out, err
}

func (h *hypervisor) Inspect(_ context.Context, id fleet.InstanceID) (drivers.Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.answers(); err != nil {
		return drivers.Machine{}, err
	}
	power, ok := h.machines[id]
	if !ok {
		return drivers.Machine{}, drivers.ErrNotFound
	}
	return drivers.Machine{ID: id, Power: power}, nil
}

func (h *hypervisor) Watch(ctx context.Context, changed func(drivers.Event)) error {
	h.mu.Lock()
	err := h.answers()
	h.mu.Unlock()
	if err != nil {
		return err
	}
	changed(drivers.Event{})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-h.events:
			changed(e)
		}
	}
}

// observe runs an observer over a hypervisor with one running machine, 1,
// inside a bubble of virtual time.
func observe(t *testing.T, test func(h *hypervisor, o *observer.Observer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHypervisor()
		h.set(1, fleet.PowerRunning)
		o := observer.New(observer.Config{Driver: h, Every: 5 * time.Second, Changed: func() {}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- o.Run(ctx) }()
		synctest.Wait()
		test(h, o)
		cancel()
		<-done
	})
}

func power(o *observer.Observer, id byte) fleet.Power {
	return o.Picture().Machines[fleet.UUID{id}].Power
}

func TestEventIsSeenAtOnce(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		h.set(1, fleet.PowerStopped)
		h.events <- drivers.Event{ID: fleet.UUID{1}}
		synctest.Wait()
		if got := power(o, 1); got != fleet.PowerStopped {
			t.Errorf("got %q right after the event, want stopped", got)
		}
	})
}

func TestLostEventIsRepairedByTheListing(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		h.set(2, fleet.PowerRunning)
		time.Sleep(6 * time.Second) // virtual: past one listing
		synctest.Wait()
		if got := power(o, 2); got != fleet.PowerRunning {
			t.Errorf("got %q after a listing, want running", got)
		}
	})
}

func TestSilentHypervisorLeavesWhatWasSeen(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		h.setDown(true)
		time.Sleep(6 * time.Second) // virtual
		synctest.Wait()
		p := o.Picture()
		if p.Fault == "" || p.FaultSince.IsZero() {
			t.Error("the picture does not say that the hypervisor is silent")
		}
		if got := power(o, 1); got != fleet.PowerRunning {
			t.Errorf("got %q while the hypervisor is silent, want running as last seen", got)
		}
		h.setDown(false)
		time.Sleep(6 * time.Second) // virtual
		synctest.Wait()
		if p := o.Picture(); p.Fault != "" {
			t.Errorf("still says %q after the hypervisor is back", p.Fault)
		}
	})
}

func TestBrokenStorageKeepsNoMachineFromView(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		h.mu.Lock()
		h.badHost = errors.New("storage pool is not mounted")
		h.mu.Unlock()
		time.Sleep(time.Minute) // virtual: the host was to be described again
		h.set(1, fleet.PowerStopped)
		time.Sleep(6 * time.Second) // virtual
		synctest.Wait()
		p := o.Picture()
		if got := power(o, 1); got != fleet.PowerStopped || p.Fault != "" {
			t.Errorf("got %q and fault %q, want stopped as listed", got, p.Fault)
		}
	})
}

func TestListingThatKeepsFailingMarksWhatWasSeen(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		fail := func(err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.badList = err
		}
		fail(errors.New("no permission"))
		time.Sleep(5500 * time.Millisecond) // virtual: one listing
		if p := o.Picture(); p.Fault != "" {
			t.Errorf("says %q after one failed listing", p.Fault)
		}
		time.Sleep(5 * time.Second) // virtual: another one
		synctest.Wait()
		if p := o.Picture(); p.Fault != "no permission" || p.Machines[fleet.UUID{1}].Power != fleet.PowerRunning {
			t.Errorf("got %+v, want running as last seen, marked", p)
		}
		fail(nil)
		time.Sleep(5 * time.Second) // virtual
		synctest.Wait()
		if p := o.Picture(); p.Fault != "" {
			t.Errorf("still says %q", p.Fault)
		}
	})
}

func TestSlowListingDoesNotUndoAFreshLook(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		h.mu.Lock()
		h.listDelay = 2 * time.Second
		h.mu.Unlock()
		time.Sleep(5500 * time.Millisecond) // virtual: a listing was taken and is on its way
		h.set(1, fleet.PowerStopped)
		h.set(3, fleet.PowerRunning)
		for _, id := range []byte{1, 3} {
			if err := o.Look(t.Context(), fleet.UUID{id}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second) // virtual: the listing has arrived
		synctest.Wait()
		if got := power(o, 1); got != fleet.PowerStopped {
			t.Errorf("machine 1: got %q, want stopped as the later look saw it", got)
		}
		if got := power(o, 3); got != fleet.PowerRunning {
			t.Errorf("machine 3: got %q, want running: the listing was taken before it came", got)
		}
	})
}

func TestMachineThatIsGoneLeavesThePicture(t *testing.T) {
	observe(t, func(h *hypervisor, o *observer.Observer) {
		h.mu.Lock()
		delete(h.machines, fleet.UUID{1})
		h.mu.Unlock()
		h.events <- drivers.Event{ID: fleet.UUID{1}}
		synctest.Wait()
		if _, ok := o.Picture().Machines[fleet.UUID{1}]; ok {
			t.Error("the machine is still in the picture")
		}
	})
}
