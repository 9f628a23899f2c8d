package proofs

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"grapevine/api/client"
	"grapevine/fleet"
)

// oracle remembers the fate of every instance that was ever asked for.
type oracle struct {
	mu     sync.Mutex
	fates  map[fleet.InstanceID]*fate
	order  []*fate // as they were first asked for, but those that are over
	groups []fleet.Group
	counts map[string]int
}

func newOracle() *oracle {
	return &oracle{fates: map[fleet.InstanceID]*fate{}, counts: map[string]int{}}
}

// count counts what happened, under a word.
func (o *oracle) count(word string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[word]++
}

// asks begins a request about an instance: what is noted before it is sent.
func (o *oracle) asks(f *fate, note func(*fate)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fates[f.id] == nil {
		o.fates[f.id] = f
		o.order = append(o.order, f)
	}
	f.pending++
	if note != nil {
		note(f)
	}
}

// told ends a request: what is noted of its answer.
func (o *oracle) told(f *fate, what string, err error, note func(*fate)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.pending--
	word := "accepted"
	if err != nil {
		word = string(fleet.CodeOf(err))
		switch {
		case errors.Is(err, client.ErrUnreachable):
			word = "unreachable"
		case errors.Is(err, client.ErrOutcomeUnknown):
			word = "unanswered"
		}
	}
	o.counts[what+" "+word]++
	note(f)
}

// pick returns an instance for which ok holds, nil if there is none.
func (o *oracle) pick(n func(int) int, ok func(*fate) bool) *fate {
	o.mu.Lock()
	defer o.mu.Unlock()
	var fit []*fate
	for _, f := range o.order {
		if ok(f) {
			fit = append(fit, f)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[n(len(fit))]
}

// retire has those that are over for good, by what was just checked, asked for
// no more: all that can come of them is that they come back. A long life would
// otherwise ask for little else. Of the others it notes what they are now.
func (o *oracle) retire(seen []sighting) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range seen {
		if f := o.fates[seen[i].ID]; f != nil {
			now := seen[i].generation()
			if now > max(f.generation, 1) {
				o.counts["moved, seen at a heal"]++
			}
			f.moved, f.generation = false, now
		}
	}
	o.order = slices.DeleteFunc(o.order, func(f *fate) bool {
		f.over = f.pending == 0 && f.gone && (f.deleted || f.removed)
		return f.over
	})
}

// surely reports whether the error says that nothing was done and nothing will
// be.
func surely(err error) bool {
	if e, ok := errors.AsType[*fleet.Error](err); ok {
		switch e.Code {
		case fleet.CodeOutcomeUnknown, fleet.CodeInternal, fleet.CodeKeyHomeUnreachable, fleet.CodeHostUnreachable, fleet.CodeBusy, fleet.CodeConflict:
			return false
		default:
			return true
		}
	}
	return errors.Is(err, client.ErrUnreachable)
}

// copies maps each machine to the hosts on whose hypervisors it is.
func (w *World) copies() map[fleet.InstanceID][]*Host {
	all := map[fleet.InstanceID][]*Host{}
	for _, h := range w.Hosts {
		for _, m := range h.Hypervisor.Machines() {
			all[m.ID] = append(all[m.ID], h)
		}
	}
	return all
}

// used is what the machines of the hypervisor take.
func (h *Host) used() fleet.Resources {
	var sum fleet.Resources
	for _, m := range h.Hypervisor.Machines() {
		sum.VCPUs += m.Resources.VCPUs
		sum.MemoryMiB += m.Resources.MemoryMiB
		sum.DiskGiB += m.Resources.DiskGiB
	}
	return sum
}

// healed checks, by the fleet as a registry shows it, what holds once all is
// heard, up, and done.
func (o *oracle) healed(w *World, hosts []fleet.Host, rows []fleet.Instance) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	shown := map[fleet.InstanceID][]fleet.Instance{}
	for i := range rows {
		shown[rows[i].ID] = append(shown[rows[i].ID], rows[i])
	}
	there := w.copies()
	var errs []error
	for _, f := range o.order {
		f.gone = len(there[f.id])+len(shown[f.id]) == 0
		if err := f.judge(there[f.id], shown[f.id]); err != nil {
			errs = append(errs, fmt.Errorf("instance %s (%s): %w", f.id, f.ask.Name, err))
		}
	}
	for id := range there {
		errs = append(errs, o.back(id, there[id], shown[id]))
	}
	for id := range shown {
		if len(there[id]) == 0 {
			errs = append(errs, o.back(id, nil, shown[id]))
		}
	}
	for _, h := range w.Hosts {
		errs = append(errs, h.judge(hosts, shown))
	}
	return errors.Join(errs...)
}

// back judges a machine or a row that is there though it was over.
func (o *oracle) back(id fleet.InstanceID, on []*Host, rows []fleet.Instance) error {
	if f := o.fates[id]; f != nil && f.over {
		return fmt.Errorf("instance %s (%s) was gone, and is back: %d machines, and the rows are %+v", f.id, f.ask.Name, len(on), rows)
	}
	return nil
}

// judge compares what a registry shows of a host with its hypervisor.
func (h *Host) judge(hosts []fleet.Host, shown map[fleet.InstanceID][]fleet.Instance) error {
	var errs []error
	i := slices.IndexFunc(hosts, func(o fleet.Host) bool { return o.ID == h.ID })
	if i < 0 {
		return fmt.Errorf("%s is not listed", h.Name)
	}
	used, c := h.used(), hosts[i].Capacity
	if c.MemoryMiB.Allocated != used.MemoryMiB || c.VCPUs.Allocated != used.VCPUs {
		errs = append(errs, fmt.Errorf("%s has %d MiB and %d vCPUs allocated, and its machines take %d and %d",
			h.Name, c.MemoryMiB.Allocated, c.VCPUs.Allocated, used.MemoryMiB, used.VCPUs))
	}
	disks := h.Hypervisor.Disks()
	for _, m := range h.Hypervisor.Machines() {
		rows := shown[m.ID]
		if len(rows) != 1 || rows[0].Host != h.ID || rows[0].Power != m.Power {
			errs = append(errs, fmt.Errorf("%s has machine %s, %s, and the rows are %+v", h.Name, m.ID, m.Power, rows))
		}
		disks = slices.DeleteFunc(disks, func(id fleet.InstanceID) bool { return id == m.ID })
	}
	if len(disks) > 0 {
		errs = append(errs, fmt.Errorf("%s has disks of no machine: %v", h.Name, disks))
	}
	return errors.Join(errs...)
}
