package proofs

import (
	"context"
	"fmt"
	"time"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

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
	// a person's act; and one that was up when its host was to be emptied is
	// started again.
	quiet := on[0].isQuiet(f.id) && !h.drains[on[0]]
	err := on[0].Hypervisor.PowerOff(f.id)
	h.oracle.asks(f, nil)
	h.oracle.told(f, "power off by hand", err, func(f *fate) { f.stopped = err == nil && quiet })
}

// define makes a machine at a host that Grapevine has not made, and has it
// adopted, sooner or later.
func (h *History) define() {
	f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return f.byHand && !f.deleting && !f.removed })
	if f != nil && h.rng.IntN(2) == 0 {
		if at := h.registry(); at != nil {
			h.act(at, f, fleet.Adopt)
		}
		return
	}
	h.named++
	h.sent++
	ask := fleet.Create{Name: fmt.Sprint("alien-", h.named)}
	id := fleet.KeyedInstanceID("nobody's", ask.Name)
	host := h.Hosts[h.rng.IntN(len(h.Hosts))]
	f = &fate{id: id, ask: ask, byHand: true}
	h.oracle.asks(f, nil)
	_, err := host.Hypervisor.Define(simulated.Foreign{ID: id, Name: ask.Name, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128, DiskGiB: 2}, Running: true})
	h.oracle.told(f, "define by hand", err, func(f *fate) { f.accepted = err == nil })
}

// drain empties a host, which takes instances again after a while.
func (h *History) drain(at *client.Client) {
	host := h.Hosts[h.rng.IntN(len(h.Hosts))]
	for _, m := range host.Hypervisor.Machines() {
		h.oracle.startedAgain(m.ID)
	}
	h.drains[host] = true
	ask := fleet.DrainRequest{Mode: fleet.DrainStop, DeadlineMS: (30 * time.Second).Milliseconds()}
	if h.rng.IntN(3) == 0 {
		ask = fleet.DrainRequest{Mode: fleet.DrainWait}
	}
	h.request(func(ctx context.Context) {
		_, err := at.StartDrain(ctx, host.ID, ask)
		h.oracle.count("drain " + wordFor("accepted", err))
	})
	h.lasts(func() {
		if at := h.registry(); at != nil {
			h.request(func(ctx context.Context) { h.undrain(ctx, at, host.ID) })
		}
	})
}

// startedAgain notes that the end of a drain may start a machine that a person
// has powered off, for its host may not have seen that yet.
func (o *oracle) startedAgain(id fleet.InstanceID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.fates[id]; f != nil {
		f.stopped = false
	}
}

func (h *History) undrain(ctx context.Context, at *client.Client, host fleet.HostID) {
	_, err := at.Undrain(ctx, host)
	h.oracle.count("undrain " + wordFor("accepted", err))
}

// emptied ends all drains that there are still, and says which.
func (h *History) emptied(hosts []fleet.Host) error {
	for i := range hosts {
		if hosts[i].State == fleet.HostOK {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		h.undrain(ctx, h.registry(), hosts[i].ID)
		return fmt.Errorf("%s is %s", hosts[i].Name, hosts[i].State)
	}
	return nil
}
