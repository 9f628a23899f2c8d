package records

import (
	"cmp"
	"maps"
	"slices"

	"grapevine/fleet"
)

// Index is the union of what the blocks of all holders bear, kept by holder, so
// that a block that comes replaces what its host held before. Its caller locks
// it.
type Index struct {
	by      map[fleet.HostID][]fleet.Record // by holder
	stale   bool                            // by has changed since the rest was worked out
	union   Union
	holders map[fleet.RecordID][]fleet.HostID
	// about has the decisions about each host that none supersedes, those that
	// say more first; intents those for each instance.
	about   map[fleet.HostID][]fleet.Record
	intents map[fleet.InstanceID][]fleet.Record
	objects *Objects
}

// NewIndex returns an index of nothing.
func NewIndex() *Index {
	x := &Index{by: map[fleet.HostID][]fleet.Record{}, stale: true, objects: newObjects()}
	x.Settle()
	return x
}

// Take replaces what a holder's block bears, and returns the hosts that what
// came or went is about. It counts from the next Settle on. Records that are
// not valid, or of kinds that are not known, are passed over.
func (x *Index) Take(holder fleet.HostID, bears []fleet.Record) []fleet.HostID {
	var valid, objects []fleet.Record
	for i := range bears {
		switch {
		case bears[i].Validate() != nil:
		case bears[i].Kind.Hostless():
			objects = append(objects, bears[i])
		default:
			valid = append(valid, bears[i])
		}
	}
	x.objects.take(holder, objects)
	var touched []fleet.HostID
	for _, list := range [][]fleet.Record{x.by[holder], valid} {
		for i := range list {
			touched = append(touched, list[i].Covers.Host)
		}
	}
	if len(touched) == 0 {
		return nil
	}
	if x.by[holder] = valid; len(valid) == 0 {
		delete(x.by, holder)
	}
	x.stale = true
	slices.SortFunc(touched, fleet.UUID.Compare)
	return slices.Compact(touched)
}

// Settle works the union out anew where a block was taken in since the last
// time: once for all blocks that came together. Records come seldom and are few.
func (x *Index) Settle() {
	if !x.stale {
		return
	}
	x.stale = false
	x.union, x.holders = Union{}, map[fleet.RecordID][]fleet.HostID{}
	for holder, list := range x.by {
		for i := range list {
			x.union.Add(list[i])
			x.holders[list[i].ID] = append(x.holders[list[i].ID], holder)
		}
	}
	x.about, x.intents = map[fleet.HostID][]fleet.Record{}, map[fleet.InstanceID][]fleet.Record{}
	for id, r := range x.union {
		slices.SortFunc(x.holders[id], fleet.UUID.Compare)
		if r.Kind.IsDecision() {
			x.about[r.Subject] = append(x.about[r.Subject], r)
		} else {
			x.intents[r.Subject] = append(x.intents[r.Subject], r)
		}
	}
	for host, list := range x.about {
		x.about[host] = slices.DeleteFunc(slices.Clone(list), func(r fleet.Record) bool { return supersededIn(list, &r) })
		slices.SortFunc(x.about[host], stronger)
	}
	for _, list := range x.intents {
		slices.SortFunc(list, func(a, b fleet.Record) int { return a.ID.Compare(b.ID) })
	}
}

func supersededIn(list []fleet.Record, r *fleet.Record) bool {
	return slices.ContainsFunc(list, func(other fleet.Record) bool { return Supersedes(&other, r) })
}

// stronger orders decisions about one host.
func stronger(a, b fleet.Record) int {
	return cmp.Or(
		-cmp.Compare(strength(a.Kind), strength(b.Kind)),
		-cmp.Compare(a.Covers.Epoch, b.Covers.Epoch),
		a.ID.Compare(b.ID),
	)
}

func strength(k fleet.RecordKind) int {
	if k == fleet.Forget {
		return 1
	}
	return 0
}

// Covering returns the decisions that cover a host in this epoch, the one that
// says most first; none for a host that has come back since in a later one.
func (x *Index) Covering(host fleet.HostID, epoch uint64) []fleet.Record {
	var out []fleet.Record
	for _, r := range x.about[host] {
		if r.Covers.Epoch >= epoch {
			out = append(out, r)
		}
	}
	return out
}

// Subjects returns the hosts that something was decided about, in the order of
// their ids.
func (x *Index) Subjects() []fleet.HostID {
	return slices.SortedFunc(maps.Keys(x.about), fleet.UUID.Compare)
}

// Intents returns what is intended with an instance, spent ones included, in
// the order of their ids.
func (x *Index) Intents(id fleet.InstanceID) []fleet.Record { return x.intents[id] }

// Intended yields all intents for instances of a host, by instance.
func (x *Index) Intended(host fleet.HostID) []fleet.Record {
	var out []fleet.Record
	for _, list := range x.intents {
		for _, r := range list {
			if r.Covers.Host == host {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b fleet.Record) int { return a.ID.Compare(b.ID) })
	return out
}

// All returns the union in the order of the ids.
func (x *Index) All() []fleet.Record {
	out := make([]fleet.Record, 0, len(x.union)+len(x.objects.borne))
	for _, r := range x.union {
		out = append(out, r)
	}
	for _, b := range x.objects.borne {
		out = append(out, b.record)
	}
	slices.SortFunc(out, func(a, b fleet.Record) int { return a.ID.Compare(b.ID) })
	return out
}

// Get returns a record and the hosts whose blocks bear it, in the order of
// their ids.
func (x *Index) Get(id fleet.RecordID) (fleet.Record, []fleet.HostID, bool) {
	if b := x.objects.borne[id]; b != nil {
		return b.record, b.holders, true
	}
	r, ok := x.union[id]
	return r, x.holders[id], ok
}
