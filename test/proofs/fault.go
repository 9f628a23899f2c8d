package proofs

import (
	"time"

	"grapevine/drivers/simulated"
)

// mend ends a fault.
type mend struct {
	at time.Time
	do func()
}

// forever is after every mend that is due.
var forever = time.Unix(1<<40, 0)

// longest bounds how long a fault lasts; most last much shorter.
const longest = 15 * time.Minute

// lasts has a fault end by itself after a while, or with the next heal.
func (h *History) lasts(do func()) {
	d := min(longest, time.Duration(h.rng.ExpFloat64()*float64(2*time.Minute)))
	h.mends = append(h.mends, mend{at: time.Now().Add(d), do: do})
}

// mendWhatIsDue ends the faults that have lasted until now.
func (h *History) mendWhatIsDue(now time.Time) {
	var later []mend
	for _, m := range h.mends {
		if m.at.After(now) {
			later = append(later, m)
			continue
		}
		m.do()
	}
	h.mends = later
}

// fault breaks something for a while.
func (h *History) fault() {
	host := h.Hosts[h.rng.IntN(len(h.Hosts))]
	switch h.rng.IntN(12) {
	case 0, 1:
		h.killHost(host, false)
	case 2:
		h.killHost(host, true)
	case 3:
		h.killMany()
	case 4:
		h.killRegistry(h.Registries[h.rng.IntN(len(h.Registries))])
	case 5, 6:
		h.cutPair(host, h.Hosts[h.rng.IntN(len(h.Hosts))])
	case 7:
		h.partition()
	case 8, 9:
		h.breaks("hypervisor of %s falls silent", host.Name)
		host.Hypervisor.Cut()
		h.lasts(host.Hypervisor.Restore)
	case 10:
		h.breaks("storage of %s is full", host.Name)
		host.Hypervisor.FillStorage(true)
		// A host that says so takes nothing, so that few builds meet it. The next one
		// fails all the same, unless all is healed before it comes.
		host.Hypervisor.FailNextBuild(simulated.BeforeDisk)
		h.mends = append(h.mends, mend{at: forever, do: func() { host.Hypervisor.FailNextBuild(0) }})
		h.lasts(func() { host.Hypervisor.FillStorage(false) })
	case 11:
		h.breaks("events of %s are lost", host.Name)
		host.Hypervisor.LoseEvents(true)
		h.lasts(func() { host.Hypervisor.LoseEvents(false) })
	}
}

// killHost kills an agent, which systemd starts again at once, or which stays
// down for a while.
func (h *History) killHost(host *Host, stays bool) {
	if !host.Up() {
		return
	}
	for range h.rng.IntN(4) { // often in the middle of something
		h.operate()
	}
	time.Sleep(time.Duration(h.rng.Int64N(int64(3 * time.Second))))
	h.breaks("kill %s", host.Name)
	host.Kill()
	if !stays {
		host.Start()
		return
	}
	h.lasts(func() {
		if !host.Up() {
			host.Start()
		}
	})
}

// killMany kills a third of the agents at once.
func (h *History) killMany() {
	for _, n := range h.rng.Perm(len(h.Hosts))[:len(h.Hosts)/3] {
		h.killHost(h.Hosts[n], true)
	}
}

func (h *History) killRegistry(r *Registry) {
	if !r.Up() {
		return
	}
	h.breaks("kill %s", r.Name)
	r.Kill()
	h.lasts(func() {
		if !r.Up() {
			r.Start()
		}
	})
}

func (h *History) cutPair(a, b *Host) {
	if a == b {
		return
	}
	h.breaks("cut %s from %s", a.Name, b.Name)
	h.Cut([]string{a.place.name}, []string{b.place.name})
	h.lasts(h.Mend)
}

// partition parts hosts and registries into two sides.
func (h *History) partition() {
	var sides [2][]string
	for _, name := range h.addresses() {
		side := h.rng.IntN(2)
		sides[side] = append(sides[side], name)
	}
	h.breaks("partition %v | %v", sides[0], sides[1])
	h.Cut(sides[0], sides[1])
	h.lasts(h.Mend)
}
