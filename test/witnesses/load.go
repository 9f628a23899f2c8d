package witnesses

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/grants"
)

// creates asks for an idempotency key as registries do: whoever finds a record
// of another request takes it over, or gives the instance to another host.
func (w *world) create(a *asker, key fleet.InstanceID, held *fleet.Grant, lost int) {
	next := fleet.Grant{KeyRecord: fleet.KeyRecord{Kind: fleet.GrantCreate}, Token: w.uuid()}
	next.Instance, next.RequestHash, next.Attempt = key, "the one body", 1
	next.Host = w.nodes[w.rng.IntN(hosts)].id
	change := fleet.GrantChange{Grant: &next}
	if held != nil {
		next.Attempt, change.IfAttempt = held.Attempt+1, held.Attempt
	}
	a.ask(key, change, func(o grants.Outcome, ok bool) {
		switch {
		case ok && o.Stored && w.chance(0.3): // the host refuses: it moves on
			w.create(a, key, o.Grant, lost)
		case ok && !o.Stored && lost < 3:
			w.create(a, key, o.Grant, lost+1)
		}
	})
}

// name asks for a name for an instance of its own, builds it, and some time the
// instance is gone, or the name is given back.
func (w *world) name(a *asker, key fleet.UUID, held *fleet.Grant, lost int) {
	next := fleet.Grant{KeyRecord: fleet.KeyRecord{Kind: fleet.GrantName}, Token: w.uuid()}
	next.Instance, next.Attempt = w.uuid(), 1
	change := fleet.GrantChange{Grant: &next}
	if held != nil {
		next.Attempt, change.IfAttempt = held.Attempt+1, held.Attempt
	}
	a.ask(key, change, func(o grants.Outcome, ok bool) {
		switch {
		case !ok:
		case !o.Stored && (o.Grant == nil || o.Grant.Released) && lost < 3:
			w.name(a, key, o.Grant, lost+1)
		case o.Stored && w.chance(0.3): // no host takes it
			w.checks.ends(key, next.Instance)
			w.giveBack(a, key, o.Grant)
		case o.Stored:
			w.after(w.upTo(10*time.Minute), func() { w.checks.there[next.Instance] = true })
			w.after(10*time.Minute+w.upTo(20*time.Minute), func() {
				w.checks.ends(key, next.Instance)
				delete(w.checks.there, next.Instance)
			})
		}
	})
}

func (w *world) giveBack(a *asker, key fleet.UUID, held *fleet.Grant) {
	back := *held
	back.Released, back.Attempt, back.Token = true, held.Attempt+1, w.uuid()
	a.ask(key, fleet.GrantChange{Grant: &back, IfAttempt: held.Attempt}, func(grants.Outcome, bool) {})
}

// replace changes one witness, as an operator does: the change is decided under
// the set that there is, told, and settled when the new member has learnt; or
// it is called off.
func (w *world) replace(a *asker) {
	set := a.set
	if set.Changing() {
		w.settle(a)
		return
	}
	spare := fleet.HostID{}
	for _, n := range w.nodes {
		if !set.Has(n.id) && (spare.IsZero() || w.chance(0.5)) {
			spare = n.id
		}
	}
	next, err := set.Replace(set.Members[w.rng.IntN(fleet.Witnesses)], spare)
	if err != nil {
		panic(err)
	}
	w.decideSet(a, next)
}

// settle ends a change once its new member has learnt, as it says itself.
func (w *world) settle(a *asker) {
	set := a.set
	next := set.Settle()
	if w.chance(0.1) {
		next.Members = set.Old
	}
	for _, id := range next.Members {
		if slices.Contains(set.Old, id) {
			continue
		}
		n := w.node(id)
		a.push(n)
		w.send(n.index, a.index, func() {
			if n.up && n.office.Ready && n.office.Set.Equal(&set) {
				w.decideSet(a, next)
			}
		})
		return
	}
	w.decideSet(a, next)
}

func (w *world) decideSet(a *asker, next fleet.WitnessSet) {
	g := fleet.Grant{KeyRecord: fleet.KeyRecord{Kind: fleet.GrantSet}, Token: w.uuid(), Set: &next}
	g.Attempt = 1
	a.ask(fleet.SetKey(next.Number), fleet.GrantChange{Grant: &g}, func(o grants.Outcome, ok bool) {
		if !ok || o.Grant == nil {
			return
		}
		w.count.sets++
		a.learn(*o.Grant.Set)
		for _, n := range w.nodes {
			if w.chance(0.8) {
				a.push(n)
			}
		}
	})
}
