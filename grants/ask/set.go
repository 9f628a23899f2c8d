package ask

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"grapevine/fleet"
)

// Node is an agent as the keeper of the witness set asks it.
type Node interface {
	Witness
	Keys
	WitnessState(ctx context.Context) (fleet.WitnessState, error)
}

// Keeper shows and changes the witness set, for operators.
type Keeper struct {
	*Asker
	// Heard returns the newest set that gossip tells of.
	Heard func() fleet.WitnessSet
	// Hosts are those that may be the homes of keys; Named is the one that a person
	// means; Follows is whether a host has told that it is no home any more.
	Hosts   func() []fleet.HostID
	Named   func(string) (fleet.HostID, error)
	Follows func(fleet.HostID) bool
	// Node returns the agent of a host.
	Node func(fleet.HostID) (Node, error)
}

// Set returns the newest set known here.
func (k *Keeper) Set() fleet.WitnessSet { return k.Newest(k.Heard()) }

// Witnesses implements api.WitnessKeeper.
func (k *Keeper) Witnesses(ctx context.Context) (fleet.WitnessReport, error) {
	report := fleet.WitnessReport{Set: k.Set()}
	if report.Set.IsZero() {
		return report, nil
	}
	report.Members = k.ask(ctx, &report.Set)
	for _, row := range report.Members { // one of them may know of a newer set
		k.learn(row.Set)
	}
	if newer := k.Set(); newer.Number > report.Set.Number {
		report.Set = newer
		report.Members = k.ask(ctx, &newer)
	}
	for _, id := range k.Hosts() {
		if !k.Follows(id) {
			report.Waiting = append(report.Waiting, k.Name(id))
		}
	}
	return report, nil
}

// ask asks all witnesses of a set at once.
func (k *Keeper) ask(ctx context.Context, set *fleet.WitnessSet) []fleet.WitnessRow {
	ctx, cancel := context.WithTimeout(ctx, fleet.GrantRound)
	defer cancel()
	all := set.All()
	rows := make([]fleet.WitnessRow, len(all))
	var asking sync.WaitGroup
	for i, id := range all {
		asking.Go(func() {
			row := fleet.WitnessRow{Host: id, Name: k.Name(id)}
			if set.Changing() {
				row.Coming, row.Going = !slices.Contains(set.Old, id), !slices.Contains(set.Members, id)
			}
			node, err := k.Node(id)
			if err == nil {
				row.WitnessState, err = node.WitnessState(ctx)
			}
			if err != nil {
				row.Fault = err.Error()
			}
			rows[i] = row
		})
	}
	asking.Wait()
	return rows
}

// ChangeWitnesses implements api.WitnessKeeper.
func (k *Keeper) ChangeWitnesses(ctx context.Context, change fleet.WitnessChange) (fleet.WitnessReport, error) {
	var err error
	if len(change.Members) > 0 {
		err = k.found(ctx, change.Members)
	} else {
		err = k.replace(ctx, change.Old, change.New)
	}
	if err != nil {
		return fleet.WitnessReport{}, err
	}
	return k.Witnesses(ctx)
}

// found pins the fleet's first set. There are no witnesses yet who could decide
// about it: so the home rule does, by which one host keeps its key.
func (k *Keeper) found(ctx context.Context, names []string) error {
	set := fleet.WitnessSet{Number: 1}
	for _, name := range names {
		id, err := k.Named(name)
		if err != nil {
			return err
		}
		set.Members = append(set.Members, id)
	}
	slices.SortFunc(set.Members, fleet.HostID.Compare)
	if err := set.Validate(); err != nil {
		return err
	}
	if known := k.Set(); !known.IsZero() && !known.Equal(&set) {
		return conflict("there is a witness set already (number %d); replace its members one at a time: grapevine witness replace OLD NEW", known.Number)
	}
	if err := k.reserve(ctx, &set); err != nil {
		return err
	}
	rows := k.ask(ctx, &set)
	for _, row := range rows {
		switch {
		case row.Fault != "":
			return conflict("host %s has to know at once that it is a witness, and cannot be asked: %s", row.Name, row.Fault)
		case !row.Set.IsZero() && !row.Set.Equal(&set):
			return conflict("host %s goes by another witness set, number %d; look at: grapevine witness list", row.Name, row.Set.Number)
		case row.Keys > 0:
			return k.spread(ctx, set, fleet.WitnessUpdate{Set: set}) // it grants already
		}
	}
	return k.spread(ctx, set, fleet.WitnessUpdate{Set: set, Found: true})
}

// reserve makes sure that no other first set is being pinned at the same time.
func (k *Keeper) reserve(ctx context.Context, set *fleet.WitnessSet) error {
	sum := sha256.New()
	for _, id := range set.Members {
		sum.Write(id[:])
	}
	key := fleet.SetKey(1)
	home, _ := fleet.HomeOf(key, k.Hosts())
	node, err := k.Node(home)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleet.GrantRound)
	defer cancel()
	record := fleet.KeyRecord{Instance: key, RequestHash: hex.EncodeToString(sum.Sum(nil)), Host: set.Members[0], Attempt: 1}
	answer, err := node.ChangeKey(ctx, key, fleet.KeyChange{Record: record})
	switch {
	case fleet.CodeOf(err) == fleet.CodeWitnessesDecide: // it follows a set: this one, or its members will say
		return nil
	case err != nil:
		return &fleet.Error{Code: fleet.CodeKeyHomeUnreachable, Detail: fmt.Sprintf("host %s, by which two operators are kept from pinning two sets at once, cannot be asked: %v", k.Name(home), err)}
	case answer.Record.RequestHash != record.RequestHash:
		return conflict("another witness set was pinned within the last day")
	}
	return nil
}

// replace has the witnesses decide that one of them is replaced, or that such a
// change is called off.
func (k *Keeper) replace(ctx context.Context, oldName, newName string) error {
	gone, err := k.Named(oldName)
	if err != nil {
		return err
	}
	come, err := k.Named(newName)
	if err != nil {
		return err
	}
	if _, err := k.Witnesses(ctx); err != nil { // the newest set that any member knows
		return err
	}
	set := k.Set()
	next, err := set.Replace(gone, come)
	switch {
	case set.IsZero():
		return conflict("there is no witness set yet; pin one: grapevine witness set HOST HOST HOST HOST HOST")
	case set.Changing() && !set.Has(gone), set.Changing() && !set.Has(come):
		return conflict("another member is being replaced; wait until that has ended: grapevine witness list")
	case set.Changing() && !slices.Contains(set.Old, come):
		return nil // this very change is under way
	case set.Changing() && !slices.Contains(set.Old, gone): // it is called off
		next = fleet.WitnessSet{Number: set.Number + 1, Members: set.Old}
	case err != nil:
		return &fleet.Error{Code: fleet.CodeConflict, Detail: err.Error()}
	default:
		if err := k.reachable(ctx, come); err != nil {
			return err
		}
	}
	return k.Decide(ctx, set, next)
}

func (k *Keeper) reachable(ctx context.Context, id fleet.HostID) error {
	ctx, cancel := context.WithTimeout(ctx, fleet.GrantRound)
	defer cancel()
	node, err := k.Node(id)
	if err == nil {
		_, err = node.WitnessState(ctx)
	}
	if err != nil {
		return conflict("host %s cannot be asked, so it cannot become a witness: %v", k.Name(id), err)
	}
	return nil
}

// Decide has the witnesses of a set decide which comes after it, and tells that
// to all whom it concerns. What was decided before, by somebody else's wish, is
// an error.
func (k *Keeper) Decide(ctx context.Context, set, next fleet.WitnessSet) error {
	grant := &fleet.Grant{KeyRecord: fleet.KeyRecord{Kind: fleet.GrantSet}, Token: NewToken(), Set: &next}
	grant.Instance, grant.Host, grant.Attempt = fleet.SetKey(next.Number), next.Members[0], 1
	outcome, err := k.Change(ctx, set, fleet.SetKey(next.Number), fleet.GrantChange{Grant: grant})
	if err != nil {
		return err
	}
	if outcome.Grant == nil || outcome.Grant.Set == nil {
		return conflict("the witnesses hold no set under number %d; try again", next.Number)
	}
	decided := *outcome.Grant.Set
	k.learn(decided)
	if err := k.spread(ctx, set, fleet.WitnessUpdate{Set: decided}); err != nil {
		return err
	}
	if !decided.Equal(&next) {
		return conflict("another change was decided at the same time; look at: grapevine witness list")
	}
	return nil
}

// spread tells the members of a set, and of the one before it, what was decided.
// Others hear of it by gossip. It succeeds when a majority knows.
func (k *Keeper) spread(ctx context.Context, before fleet.WitnessSet, update fleet.WitnessUpdate) error {
	ctx, cancel := context.WithTimeout(ctx, fleet.GrantRound)
	defer cancel()
	all := slices.Concat(before.All(), update.Set.All())
	slices.SortFunc(all, fleet.HostID.Compare)
	all = slices.Compact(all)
	errs := make([]error, len(all))
	var telling sync.WaitGroup
	for i, id := range all {
		telling.Go(func() {
			node, err := k.Node(id)
			if err == nil {
				_, err = node.TellWitness(ctx, update)
			}
			errs[i] = err
		})
	}
	telling.Wait()
	k.learn(update.Set)
	knows := func(id fleet.HostID) bool { return errs[slices.Index(all, id)] == nil }
	if err := errors.Join(errs...); err != nil && (update.Found || !update.Set.Majority(knows)) {
		return &fleet.Error{Code: fleet.CodeNoWitnesses, Detail: fmt.Sprintf("the set was decided, and not all witnesses know of it yet; run the same command again: %v", err)}
	}
	return nil
}

func conflict(format string, args ...any) error {
	return &fleet.Error{Code: fleet.CodeConflict, Detail: fmt.Sprintf(format, args...)}
}
