package witnesses

import (
	"time"

	"grapevine/fleet"
)

// length is how long a history is: some twenty lives of a grant.
const length = 15 * time.Minute

// live makes a history and returns what was broken.
func live(seed uint64, f fault) (*world, error) {
	w := newWorld(seed, f)
	var keys []fleet.UUID
	for range 3 {
		keys = append(keys, w.uuid())
	}
	names := []fleet.UUID{fleet.NameKey("p", "a"), fleet.NameKey("p", "b")}
	// Some histories change the set a lot, some lose journals a lot.
	pause := time.Second << w.rng.IntN(5)
	crashes, changes, lost := w.rng.Float64()*0.3, w.rng.Float64()*0.3, w.rng.Float64()
	var step func()
	step = func() {
		if w.now > length {
			return
		}
		w.after(w.upTo(pause)+1, step)
		a := w.askers[w.rng.IntN(askers)]
		switch r := w.rng.Float64(); {
		case r < crashes:
			w.harm(lost)
		case r < crashes+changes:
			a.awake(func() { w.replace(a) })
		case w.chance(0.6):
			a.awake(func() { w.create(a, keys[w.rng.IntN(len(keys))], nil, 0) })
		default:
			a.awake(func() { w.name(a, names[w.rng.IntN(len(names))], nil, 0) })
		}
	}
	w.after(0, step)
	err := w.run(2 * length)
	return w, err
}

// harm does something to a host, an asker, or what is between them.
func (w *world) harm(lost float64) {
	switch n := w.nodes[w.rng.IntN(hosts)]; w.rng.IntN(4) {
	case 0, 1:
		if n.up {
			n.crash(w.chance(lost) && w.mayLose(n))
			w.after(w.upTo(time.Minute), n.start)
		}
	case 2:
		w.askers[w.rng.IntN(askers)].halted = w.now + w.upTo(3*fleet.GrantLife)
	default:
		from, to := w.rng.IntN(hosts+askers), w.rng.IntN(hosts+askers)
		w.cut[[2]int{from, to}] = true
		w.after(w.upTo(time.Minute), func() { delete(w.cut, [2]int{from, to}) })
	}
}

// mayLose is what is promised of lost journals: of the witnesses of any set at
// most one is without its memory at a time.
func (w *world) mayLose(n *node) bool {
	for _, other := range w.nodes {
		if other != n && !other.office.Ready && w.matters(other) {
			return false
		}
	}
	return true
}

// matters reports whether a host is a witness by what any host knows.
func (w *world) matters(n *node) bool {
	for _, other := range w.nodes {
		if other.office.Set.Has(n.id) {
			return true
		}
	}
	return false
}
