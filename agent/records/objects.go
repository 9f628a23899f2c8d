package records

import (
	"slices"
	"time"

	"grapevine/fleet"
)

// Objects is the union of the records that make and end groups and key pairs,
// and of those that revoke tokens, which nothing ends: all that are about no host,
// kept by holder. Unlike decisions they may be many, so that what a holder's
// block brings is added and taken away, and nothing is worked out anew.
//
// An object is shown while some block bears what made it and none bears its
// end: the end covers its id, whichever of the two comes first.
type Objects struct {
	by    map[fleet.HostID]map[fleet.RecordID]fleet.Record
	borne map[fleet.RecordID]*borne
	// named are the objects shown, by what people call them; shown counts them.
	named map[objectName][]fleet.UUID
	shown map[fleet.RecordKind]int
	// revoked are the records that revoke hosts, trusts those with lists of roots.
	revoked, trusts map[fleet.RecordID]*borne
}

// borne is a record of the union, and the hosts whose blocks bear it, in order.
type borne struct {
	record  fleet.Record
	holders []fleet.HostID
}

type objectName struct {
	kind          fleet.RecordKind // that makes it
	project, name string
}

func newObjects() *Objects {
	return &Objects{
		by: map[fleet.HostID]map[fleet.RecordID]fleet.Record{}, borne: map[fleet.RecordID]*borne{},
		named: map[objectName][]fleet.UUID{}, shown: map[fleet.RecordKind]int{},
		revoked: map[fleet.RecordID]*borne{}, trusts: map[fleet.RecordID]*borne{},
	}
}

// take replaces what a holder's block bears.
func (o *Objects) take(holder fleet.HostID, bears []fleet.Record) {
	next := make(map[fleet.RecordID]fleet.Record, len(bears))
	for i := range bears {
		next[bears[i].ID] = bears[i]
	}
	before := o.by[holder]
	if o.by[holder] = next; len(next) == 0 {
		delete(o.by, holder)
	}
	for id, r := range before {
		if next[id] != r {
			o.change(&r, func() { o.remove(id, holder) })
		}
	}
	for id, r := range next {
		if before[id] != r {
			o.change(&r, func() { o.add(&r, holder) })
		}
	}
}

// change does something to a record of the union, and keeps the names in step.
func (o *Objects) change(r *fleet.Record, do func()) {
	made := idOf(makerOf(r.Kind), r.Subject)
	before, was := o.shownBy(made)
	do()
	after, is := o.shownBy(made)
	if was {
		o.unname(&before)
	}
	if is {
		o.name(&after)
	}
}

func (o *Objects) name(r *fleet.Record) {
	name := objectName{r.Kind, r.Project, r.Name}
	at, _ := slices.BinarySearchFunc(o.named[name], r.Subject, fleet.UUID.Compare)
	o.named[name] = slices.Insert(o.named[name], at, r.Subject)
	o.shown[r.Kind]++
}

func (o *Objects) unname(r *fleet.Record) {
	name := objectName{r.Kind, r.Project, r.Name}
	rest := slices.DeleteFunc(o.named[name], func(id fleet.UUID) bool { return id == r.Subject })
	if o.named[name] = rest; len(rest) == 0 {
		delete(o.named, name)
	}
	o.shown[r.Kind]--
}

func (o *Objects) add(r *fleet.Record, holder fleet.HostID) {
	b := o.borne[r.ID]
	if b == nil {
		b = &borne{record: *r}
		o.borne[r.ID] = b
		switch r.Kind {
		case fleet.RevokeHost:
			o.revoked[r.ID] = b
		case fleet.TrustRoots:
			o.trusts[r.ID] = b
		default:
		}
	}
	at, _ := slices.BinarySearchFunc(b.holders, holder, fleet.UUID.Compare)
	b.holders = slices.Insert(b.holders, at, holder)
	o.prefer(b)
}

func (o *Objects) remove(id fleet.RecordID, holder fleet.HostID) {
	b := o.borne[id]
	if b.holders = slices.DeleteFunc(b.holders, func(h fleet.HostID) bool { return h == holder }); len(b.holders) == 0 {
		delete(o.borne, id)
		delete(o.revoked, id)
		delete(o.trusts, id)
		return
	}
	o.prefer(b)
}

// prefer settles which of the copies of one record counts: see prefer.
func (o *Objects) prefer(b *borne) {
	id := b.record.ID
	for i, holder := range b.holders {
		if r := o.by[holder][id]; i == 0 || prefer(&r, &b.record) < 0 {
			b.record = r
		}
	}
}

// makerOf returns the kind that makes what records of this kind make or end.
func makerOf(k fleet.RecordKind) fleet.RecordKind {
	for _, maker := range []fleet.RecordKind{fleet.MakeGroup, fleet.MakeKeyPair} {
		if k == maker || k == maker.End() {
			return maker
		}
	}
	return k
}

// idOf is the id of the record of this kind about an object.
func idOf(kind fleet.RecordKind, subject fleet.UUID) fleet.RecordID {
	return fleet.NameRecord(&fleet.Record{Kind: kind, Subject: subject})
}

// shownBy returns the record that makes an object, where it is shown.
func (o *Objects) shownBy(id fleet.RecordID) (fleet.Record, bool) {
	b := o.borne[id]
	if b == nil || o.borne[idOf(b.record.Kind.End(), b.record.Subject)] != nil {
		return fleet.Record{}, false
	}
	return b.record, true
}

// standing judges a record of the union.
func (o *Objects) standing(r *fleet.Record) fleet.RecordStanding {
	switch {
	case r.Kind.Makes() && o.borne[idOf(r.Kind.End(), r.Subject)] != nil:
		return fleet.RecordSuperseded
	case !r.Kind.Makes() && o.borne[idOf(makerOf(r.Kind), r.Subject)] == nil:
		return fleet.RecordSpent
	default:
		return fleet.RecordStands
	}
}

// Revoked returns up to when the certificates of nodes were revoked.
func (x *Index) Revoked() map[fleet.UUID]time.Time {
	out := make(map[fleet.UUID]time.Time, len(x.objects.revoked))
	for _, b := range x.objects.revoked {
		if r := &b.record; r.CreatedAt.After(out[r.Subject]) {
			out[r.Subject] = r.CreatedAt
		}
	}
	return out
}

// Trusts returns the lists of the fleet's roots that anybody holds, good or not.
func (x *Index) Trusts() []string {
	out := make([]string, 0, len(x.objects.trusts))
	for _, b := range x.objects.trusts {
		out = append(out, b.record.Trust)
	}
	return out
}

// Object returns the record that made the object with this id, where it is
// shown. Kind is the kind that makes such objects.
func (x *Index) Object(kind fleet.RecordKind, id fleet.UUID) (fleet.Record, bool) {
	return x.objects.shownBy(idOf(kind, id))
}

// Named returns the objects that people call by this name, in the order of their
// ids: several where they were made during a partition.
func (x *Index) Named(kind fleet.RecordKind, project, name string) []fleet.Record {
	var out []fleet.Record
	for _, id := range x.objects.named[objectName{kind, project, name}] {
		r, _ := x.Object(kind, id)
		out = append(out, r)
	}
	return out
}

// AllObjects returns the objects of a kind that are shown, in the order of
// their ids; those of one project, unless it is empty.
func (x *Index) AllObjects(kind fleet.RecordKind, project string) []fleet.Record {
	out := make([]fleet.Record, 0, x.objects.shown[kind])
	for name, ids := range x.objects.named {
		if name.kind != kind || project != "" && name.project != project {
			continue
		}
		for _, id := range ids {
			r, _ := x.Object(kind, id)
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b fleet.Record) int { return a.Subject.Compare(b.Subject) })
	return out
}

// CountObjects returns how many objects of a kind are shown.
func (x *Index) CountObjects(kind fleet.RecordKind) int { return x.objects.shown[kind] }
