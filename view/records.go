package view

import (
	"context"
	"slices"

	"grapevine/agent/records"
	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// facts is what this node hears of records: the union over the blocks of all
// holders.
type facts struct {
	index *records.Index
	// taken says of each block with records in which version they were taken in,
	// and how many: most of its changes are to other rows.
	taken map[fleet.HostID]takenRecords
}

type takenRecords struct {
	head  replica.Head
	count int
}

func newFacts() facts {
	return facts{index: records.NewIndex(), taken: map[fleet.HostID]takenRecords{}}
}

// takeIn replaces what the block's host holds, and returns the hosts that what
// came or went is about. A block without records costs nothing.
func (f *facts) takeIn(b *replica.Block) []fleet.HostID {
	holder, head := b.HostID(), b.Head()
	count, last := b.RecordRows()
	before := f.taken[holder]
	if count == before.count && (count == 0 || before.head.SameLife(&head) && last <= before.head.Seq) {
		return nil
	}
	f.taken[holder] = takenRecords{head, count}
	if count == 0 {
		delete(f.taken, holder)
	}
	return f.index.Take(holder, slices.Collect(b.Records()))
}

// Covering returns the decisions of operators that cover a host in this epoch,
// as far as this node has heard: the one that says most first, none for a host
// that nobody gave up in this epoch or a later one.
func (v *View) Covering(host fleet.HostID, epoch uint64) []fleet.Record {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.facts.index.Covering(host, epoch)
}

// account is what this node holds of a host, for judging records about it.
func (v *View) account(host fleet.HostID) records.Account {
	none := func(fleet.InstanceID) (fleet.Instance, bool) { return fleet.Instance{}, false }
	b := v.cfg.Source.Replica().Block(host)
	if b == nil {
		return records.Account{Find: none}
	}
	row, _ := b.Host()
	return records.Account{Version: b.Version(), Quarantined: row.State == fleet.HostQuarantined, Find: b.Instance}
}

// Standing says what a record does, by what this node holds of the host
// concerned.
func (v *View) Standing(r *fleet.Record) fleet.RecordStanding {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.facts.index.Standing(r, v.account(r.Covers.Host))
}

// Record returns a record that this node has heard of, and the hosts whose
// blocks bear it.
func (v *View) Record(id fleet.RecordID) (r fleet.Record, holders []fleet.HostID, ok bool) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.facts.index.Get(id)
}

// Intended returns what is intended with instances of a host and not done yet,
// in the order of the records' ids.
func (v *View) Intended(host fleet.HostID) []fleet.Record {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	account := v.account(host)
	return slices.DeleteFunc(v.facts.index.Intended(host), func(r fleet.Record) bool {
		return v.facts.index.Standing(&r, account) != fleet.RecordStands
	})
}

// Records returns a page of the records that this node has heard of, by id.
func (v *View) Records(_ context.Context, q fleet.RecordQuery) (fleet.List[fleet.RecordRow], error) {
	limit, err := pageLimit(q.Limit)
	if err != nil {
		return fleet.List[fleet.RecordRow]{}, err
	}
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := fleet.List[fleet.RecordRow]{Items: []fleet.RecordRow{}, Coverage: v.coverage}
	for _, r := range v.facts.index.All() {
		switch {
		case r.ID.Compare(q.Marker) <= 0, !q.Subject.IsZero() && r.Subject != q.Subject:
		case len(out.Items) == limit:
			out.Next = out.Items[limit-1].ID.String()
			return out, nil
		default:
			out.Items = append(out.Items, v.recordRow(&r))
		}
	}
	return out, nil
}

// recordRow lays over a record what this node knows of it. The caller holds mu.
func (v *View) recordRow(r *fleet.Record) fleet.RecordRow {
	_, holders, _ := v.facts.index.Get(r.ID)
	return fleet.RecordRow{
		Record: *r, Standing: v.facts.index.Standing(r, v.account(r.Covers.Host)),
		Holders: slices.Clone(holders), AcceptorName: v.HostName(r.Acceptor),
	}
}

// counted is what records are counted by.
type counted struct {
	kind     fleet.RecordKind
	standing fleet.RecordStanding
}

// countRecords returns how many records there are of each kind, 0 of those of
// which none stands.
func (v *View) countRecords() map[counted]int {
	out := map[counted]int{}
	for _, kind := range fleet.RecordKinds() {
		out[counted{kind, fleet.RecordStands}] = 0
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, r := range v.facts.index.All() {
		out[counted{r.Kind, v.facts.index.Standing(&r, v.account(r.Covers.Host))}]++
	}
	return out
}
