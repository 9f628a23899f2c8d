package proofs

import (
	"errors"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// sighting is one machine on one hypervisor.
type sighting struct {
	host *Host
	drivers.Machine
}

// look sees every machine on every hypervisor.
func (w *World) look() []sighting {
	var all []sighting
	for _, h := range w.Hosts {
		for _, m := range h.Hypervisor.Machines() {
			all = append(all, sighting{h, m})
		}
	}
	return all
}

// always checks what holds at every moment, whatever is under way and broken.
func (o *oracle) always(w *World) error {
	seen := w.look()
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := []error{o.onceEach(seen), o.holdNoMore(seen), o.nameOnce(seen), placed(seen)}
	for _, h := range w.Hosts {
		errs = append(errs, h.Died())
	}
	return errors.Join(errs...)
}

// onceEach: no machine is twice, but for one that goes to another host.
func (o *oracle) onceEach(seen []sighting) error {
	first := make(map[fleet.InstanceID]int, len(seen))
	more := map[fleet.InstanceID][]sighting{}
	for i := range seen {
		id := seen[i].ID
		n, twice := first[id]
		switch {
		case !twice:
			first[id] = i
		case len(more[id]) == 0:
			more[id] = []sighting{seen[n], seen[i]}
		default:
			more[id] = append(more[id], seen[i])
		}
	}
	var errs []error
	for id, copies := range more {
		if f := o.fates[id]; f == nil || !f.moved {
			errs = append(errs, fmt.Errorf("instance %s is on %s and %s", id, copies[0].host.Name, copies[1].host.Name))
			continue
		}
		errs = append(errs, oneOwner(copies))
	}
	return errors.Join(errs...)
}

// oneOwner judges the copies of a machine that moves: at most the newest runs,
// and no two say that they are the same one. What was built and not given yet
// has generation 0.
func oneOwner(copies []sighting) error {
	var errs []error
	for i := range copies {
		a := &copies[i]
		for j := range copies {
			b := &copies[j]
			switch mine, other := a.generation(), b.generation(); {
			case i == j:
			case i < j && mine == other && mine > 0:
				errs = append(errs, fmt.Errorf("instance %s has generation %d on %s and on %s", a.ID, mine, a.host.Name, b.host.Name))
			case a.Power != fleet.PowerStopped && other >= mine:
				errs = append(errs, fmt.Errorf("instance %s, generation %d, is %s on %s, and on %s it has generation %d", a.ID, mine, a.Power, a.host.Name, b.host.Name, other))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *sighting) generation() uint64 {
	if s.Mark == nil {
		return 0
	}
	return s.Mark.Generation
}

// holdNoMore: no hypervisor holds more than it can, but for what people defined
// there, which asks nobody for room.
func (o *oracle) holdNoMore(seen []sighting) error {
	used := map[*Host]fleet.Resources{}
	for i := range seen {
		s := &seen[i]
		if f := o.fates[s.ID]; f != nil && f.byHand {
			continue
		}
		sum := used[s.host]
		sum.VCPUs += s.Resources.VCPUs
		sum.MemoryMiB += s.Resources.MemoryMiB
		used[s.host] = sum
	}
	var errs []error
	for h, sum := range used {
		if sum.MemoryMiB > h.size.MemoryMiB || sum.VCPUs > h.size.VCPUs {
			errs = append(errs, fmt.Errorf("%s holds %d MiB and %d vCPUs, and has %d and %d", h.Name, sum.MemoryMiB, sum.VCPUs, h.size.MemoryMiB, h.size.VCPUs))
		}
	}
	return errors.Join(errs...)
}

// nameOnce: a name that was to be unique is one instance's.
func (o *oracle) nameOnce(seen []sighting) error {
	var errs []error
	has := map[string]fleet.InstanceID{}
	for i := range seen {
		f := o.fates[seen[i].ID]
		if f == nil || !f.ask.UniqueName {
			continue
		}
		if other, there := has[f.ask.Name]; there && other != f.id {
			errs = append(errs, fmt.Errorf("instances %s and %s have the unique name %s", other, f.id, f.ask.Name))
		}
		has[f.ask.Name] = f.id
	}
	return errors.Join(errs...)
}

// placed: no two of a strict anti-affinity group are on one host, and those of a
// strict affinity group are on no two.
func placed(seen []sighting) error {
	type place struct {
		group fleet.GroupID
		host  *Host
	}
	var errs []error
	first := map[place]fleet.InstanceID{}
	anchor := map[fleet.GroupID]*Host{}
	for i := range seen {
		s := &seen[i]
		if s.Mark == nil || s.Mark.Group.IsZero() {
			continue
		}
		group := s.Mark.Group
		at := place{group.ID, s.host}
		other, there := first[at]
		switch on := anchor[group.ID]; {
		case group.Policy == fleet.AntiAffinity && there:
			errs = append(errs, fmt.Errorf("%s has instances %s and %s of anti-affinity group %s", s.host.Name, other, s.ID, group.ID))
		case group.Policy == fleet.Affinity && on != nil && on != s.host:
			errs = append(errs, fmt.Errorf("affinity group %s is on %s and %s", group.ID, on.Name, s.host.Name))
		}
		first[at], anchor[group.ID] = s.ID, s.host
	}
	return errors.Join(errs...)
}
