package proofs

import "grapevine/fleet"

// addresses lists those of hosts and registries.
func (w *World) addresses() []string {
	names := make([]string, 0, len(w.Hosts)+len(w.Registries))
	for _, h := range w.Hosts {
		names = append(names, h.place.name)
	}
	for _, r := range w.Registries {
		names = append(names, r.place.name)
	}
	return names
}

// ids maps addresses to the ids of who is there.
func (w *World) ids() map[string]fleet.UUID {
	ids := map[string]fleet.UUID{}
	for _, h := range w.Hosts {
		ids[h.place.name] = h.ID
	}
	for _, r := range w.Registries {
		ids[r.place.name] = r.id
	}
	return ids
}

// Cut lets nothing pass between two groups of addresses, for links, requests
// and membership alike.
func (w *World) Cut(one, other []string) {
	ids := w.ids()
	w.net.Partition(one, other)
	w.roster.change(func() {
		for _, a := range one {
			for _, b := range other {
				w.roster.cut[[2]fleet.UUID{ids[a], ids[b]}] = true
			}
		}
	})
}

// Mend ends all cuts.
func (w *World) Mend() {
	w.net.Heal()
	w.roster.change(func() { clear(w.roster.cut) })
}
