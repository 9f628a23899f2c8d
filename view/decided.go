package view

import (
	"maps"
	"time"

	"grapevine/fleet"
)

// decided is what operators have decided about hosts, as it holds for the
// versions that this node has of them. Maps are swapped whole, so that a reader
// may keep one.
type decided struct {
	// dead are the hosts that somebody declared dead or had forgotten; gone those
	// of them that are forgotten: no reader is shown anything of these.
	dead map[fleet.HostID]fleet.Record
	gone map[fleet.HostID]bool
}

func newDecided() decided {
	return decided{dead: map[fleet.HostID]fleet.Record{}, gone: map[fleet.HostID]bool{}}
}

// decide works out again what holds for a host, and whether that is something
// else than before. The caller holds mu.
func (v *View) decide(id fleet.HostID) (changed bool) {
	word, covered := v.coveringNow(id)
	if before, had := v.decided.dead[id]; had == covered && before.ID == word.ID {
		return false
	}
	dead, gone := maps.Clone(v.decided.dead), maps.Clone(v.decided.gone)
	delete(dead, id)
	delete(gone, id)
	if covered {
		dead[id] = word
	}
	if covered && word.Kind == fleet.Forget {
		gone[id] = true
	}
	v.decided = decided{dead: dead, gone: gone}
	return true
}

// coveringNow returns the decision that says most of a host in the version that
// is held of it. An agent that gossip calls alive and whose block has not come
// yet is about to tell of a later epoch. The caller holds mu.
func (v *View) coveringNow(id fleet.HostID) (fleet.Record, bool) {
	version := v.cfg.Source.Replica().Version(id)
	if version.IsZero() && v.status[id] == fleet.MemberAlive {
		return fleet.Record{}, false
	}
	all := v.facts.index.Covering(id, version.Epoch)
	if len(all) == 0 {
		return fleet.Record{}, false
	}
	return all[0], true
}

// applyDecisions brings what is kept beside the replica in step with what is
// decided about these hosts, and reports whether anything changed. The caller
// holds mu.
func (v *View) applyDecisions(hosts []fleet.HostID, now time.Time) bool {
	changed := false
	for _, id := range hosts {
		if !v.decide(id) {
			continue
		}
		changed = true
		b := v.cfg.Source.Replica().Block(id)
		switch {
		case v.decided.gone[id]:
			v.rename(id, "")
			v.images.drop(id)
			v.members.drop(id)
			v.index.Remove(id)
		case b != nil:
			v.rename(id, b.HostName())
			v.images.takeIn(b)
			v.members.takeIn(b)
			v.feed(b, now)
		}
	}
	return changed
}

// decidedHosts are those that anything is decided about. The caller holds mu.
func (v *View) decidedHosts() []fleet.HostID { return v.facts.index.Subjects() }

// Given returns the decision that holds for a host in the version held of it:
// that it is dead, or forgotten.
func (v *View) Given(id fleet.HostID) (fleet.Record, bool) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	r, ok := v.decided.dead[id]
	return r, ok
}

// Forgotten reports whether nothing of a host is to be shown.
func (v *View) Forgotten(id fleet.HostID) bool {
	r, ok := v.Given(id)
	return ok && r.Kind == fleet.Forget
}

// goneNow returns the hosts of which nothing is shown, by all that has come. The
// map is not changed any more.
func (v *View) goneNow() map[fleet.HostID]bool {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.decided.gone
}

// Subject is a host as somebody who decides about it has to know it.
type Subject struct {
	Name    string
	Version fleet.Version // epoch 0 where no block was ever heard
}

// Deciding returns what is known of a host that somebody decides about: also of
// one that is forgotten already, or of which only gossip knows.
func (v *View) Deciding(id fleet.HostID) (Subject, error) {
	v.refresh()
	if b := v.cfg.Source.Replica().Block(id); b != nil {
		return Subject{Name: v.HostName(id), Version: b.Version()}, nil
	}
	for _, m := range v.cfg.Source.Members() {
		if m.ID == id && m.Role == fleet.RoleAgent {
			return Subject{Name: m.Name, Version: fleet.Version{Host: id}}, nil
		}
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if all := v.facts.index.Covering(id, 0); len(all) > 0 {
		return Subject{Name: all[0].Name, Version: fleet.Version{Host: id}}, nil
	}
	return Subject{}, noHost(id.String())
}
