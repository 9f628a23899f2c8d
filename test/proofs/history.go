package proofs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// History is a random life of a fleet: operations at any moment, faults among
// them, and now and then a heal after which all promises are checked. The
// seed gives what is asked and what breaks, and when; how goroutines take
// turns within a moment it does not.
type History struct {
	*World
	oracle *oracle
	ops    sync.WaitGroup
	size   sizes
	named  int
	sent   int      // requests, and what was done by hand
	broken int      // faults
	faults []string // with their moments, and the heals, for people
	mends  []mend   // what ends the faults there are
	began  time.Time
}

// NewHistory begins a life of the fleet.
func NewHistory(w *World) *History {
	return &History{World: w, oracle: newOracle(), began: time.Now()}
}

// The rates of a history, on average.
const (
	opEvery    = 800 * time.Millisecond
	faultEvery = 40 * time.Second
	healEvery  = 10 * time.Minute
	// answerWithin is how long a client waits.
	answerWithin = 45 * time.Second
	// quietWithin is how long a healed fleet may take until all is done and told.
	quietWithin = 5 * time.Minute
)

// Live lives for so long, heals, and returns what was broken.
func (h *History) Live(d time.Duration) error {
	end := time.Now().Add(d)
	nextFault, nextHeal := h.after(faultEvery), h.after(healEvery)
	for time.Now().Before(end) {
		time.Sleep(time.Duration(h.rng.ExpFloat64() * float64(opEvery)))
		h.operate()
		h.mendWhatIsDue(time.Now())
		if time.Now().After(nextFault) {
			h.fault()
			nextFault = h.after(faultEvery)
		}
		if err := h.oracle.always(h.World); err != nil {
			return err
		}
		if time.Now().After(nextHeal) {
			if err := h.Heal(); err != nil {
				return err
			}
			nextHeal = h.after(healEvery)
		}
	}
	return h.Heal()
}

func (h *History) after(mean time.Duration) time.Time {
	return time.Now().Add(time.Duration(h.rng.ExpFloat64() * float64(mean)))
}

// lastFaults is how many of the last faults are told at the end.
const lastFaults = 40

// breaks counts a fault and notes it.
func (h *History) breaks(format string, args ...any) {
	h.broken++
	h.note(format, args...)
}

// note keeps what happened, for people.
func (h *History) note(format string, args ...any) {
	h.faults = append(h.faults, fmt.Sprintf("%10v ", time.Since(h.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
	h.oracle.count("fault " + strings.Fields(format)[0])
}

// String tells the last faults and what was counted.
func (h *History) String() string {
	h.oracle.mu.Lock()
	defer h.oracle.mu.Unlock()
	var lines []string
	for word, n := range h.oracle.counts {
		lines = append(lines, fmt.Sprintf("%7d %s", n, word))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
	lines = append(lines, fmt.Sprintf("%d operations and %d faults in %v", h.sent, h.broken, time.Since(h.began).Round(time.Second)), h.size.String())
	return strings.Join(append(lines, h.faults[max(0, len(h.faults)-lastFaults):]...), "\n")
}

// rates says which of the rates that a proof is to have, one operation a second
// and one fault a minute, the history did not have.
func (h *History) rates() error {
	lived := time.Since(h.began)
	switch {
	case h.sent < int(lived.Seconds()):
		return fmt.Errorf("%d operations in %v", h.sent, lived)
	case h.broken < int(lived.Minutes()):
		return fmt.Errorf("%d faults in %v", h.broken, lived)
	default:
		return nil
	}
}

// registry returns a registry that is up, nil if none is.
func (h *History) registry() *client.Client {
	up := slices.DeleteFunc(slices.Clone(h.Registries), func(r *Registry) bool { return !r.Up() })
	if len(up) == 0 {
		return nil
	}
	return up[h.rng.IntN(len(up))].Client
}

// operate sends one request, and does not wait for it.
func (h *History) operate() {
	at := h.registry()
	if at == nil {
		return
	}
	switch n := h.rng.IntN(20); {
	case n < 6:
		f := h.newFate()
		h.create(at, f)
		if h.rng.IntN(3) == 0 { // a client that asks twice at once
			h.create(h.registry(), f)
		}
	case n < 8: // again, perhaps while it is under way, perhaps elsewhere
		if f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return !f.accepted && !f.deleting }); f != nil {
			h.create(at, f)
		}
	case n < 12:
		if f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return f.accepted && !f.deleted }); f != nil {
			h.delete(at, f)
		}
	case n < 18:
		if f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return f.accepted && !f.deleting }); f != nil {
			h.act(at, f, []fleet.InstanceAction{fleet.Start, fleet.Stop, fleet.Reboot}[h.rng.IntN(3)])
		}
	default:
		h.byHand()
	}
}

func (h *History) newFate() *fate {
	h.named++
	key := fmt.Sprint("key-", h.named)
	return &fate{id: fleet.KeyedInstanceID(fleet.DefaultProject, key), key: key, name: fmt.Sprint("vm-", h.named)}
}

// send does one request in the background.
func (h *History) send(f *fate, before func(*fate), do func(ctx context.Context)) {
	h.sent++
	h.oracle.asks(f, before)
	h.ops.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		do(ctx)
	})
}

func (h *History) create(at *client.Client, f *fate) {
	h.send(f, nil, func(ctx context.Context) {
		_, err := at.CreateInstance(ctx, fleet.Create{Name: f.name, Flavor: "nano", Image: "tiny"}, client.CreateOptions{Key: f.key})
		h.oracle.told(f, "create", err, func(f *fate) {
			f.accepted = f.accepted || err == nil
			f.doubted = f.doubted || err != nil && !surely(err)
		})
	})
}

func (h *History) delete(at *client.Client, f *fate) {
	h.send(f, func(f *fate) { f.deleting = true }, func(ctx context.Context) {
		_, err := at.DeleteInstance(ctx, f.id, 0)
		h.oracle.told(f, "delete", err, func(f *fate) { f.deleted = f.deleted || err == nil })
	})
}

func (h *History) act(at *client.Client, f *fate, action fleet.InstanceAction) {
	h.send(f, func(f *fate) { f.stopped = f.stopped && action == fleet.Stop }, func(ctx context.Context) {
		_, err := at.ActInstance(ctx, f.id, action, client.ActOptions{})
		h.oracle.told(f, string(action), err, func(*fate) {})
	})
}

// byHand does what a person does at a host, behind the agent's back.
func (h *History) byHand() {
	f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return f.accepted && f.pending == 0 && !f.deleting })
	if f == nil {
		return
	}
	on := h.copies()[f.id]
	if len(on) != 1 {
		return
	}
	h.sent++
	if h.rng.IntN(4) == 0 {
		h.oracle.asks(f, func(f *fate) { f.removed = true })
		err := on[0].Hypervisor.Remove(f.id)
		h.oracle.told(f, "remove by hand", err, func(*fate) {})
		return
	}
	// Only of one to which nothing is being done can it be said what must come of
	// a person's act.
	quiet := on[0].isQuiet(f.id)
	err := on[0].Hypervisor.PowerOff(f.id)
	h.oracle.asks(f, nil)
	h.oracle.told(f, "power off by hand", err, func(f *fate) { f.stopped = err == nil && quiet })
}

// Heal mends everything, waits until all is done and told, and checks all
// promises.
func (h *History) Heal() error {
	h.note("heal")
	h.mendWhatIsDue(forever)
	h.ops.Wait()
	var err error
	for began := time.Now(); time.Since(began) < quietWithin; time.Sleep(500 * time.Millisecond) {
		if err = h.quiet(); err == nil {
			h.oracle.retire()
			h.size.measure(time.Since(h.began))
			return nil
		}
	}
	return fmt.Errorf("%v after everything was healed: %w", quietWithin, err)
}

// quiet checks the promises by what every registry shows.
func (h *History) quiet() error {
	if err := h.heard(); err != nil {
		return err
	}
	for _, r := range h.Registries {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		hosts, err := r.Client.Hosts(ctx)
		if err != nil {
			cancel()
			return err
		}
		rows, err := r.Client.AllInstances(ctx, fleet.InstanceQuery{})
		cancel()
		if err != nil {
			return err
		}
		for i := range rows.Items {
			if rows.Items[i].Task != fleet.TaskNone {
				return fmt.Errorf("instance %s is %s", rows.Items[i].ID, rows.Items[i].Task)
			}
		}
		if err := h.oracle.healed(h.World, hosts.Items, rows.Items); err != nil {
			return fmt.Errorf("by %s: %w", r.Name, err)
		}
	}
	return h.oracle.always(h.World)
}
