package records_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"grapevine/agent/records"
	"grapevine/fleet"
)

// drawn is a valid record about few hosts and epochs, so that many meet.
func drawn(t *rapid.T) fleet.Record {
	host := fleet.UUID{1 + byte(rapid.IntRange(0, 2).Draw(t, "host"))}
	r := fleet.Record{
		Kind:    rapid.SampledFrom([]fleet.RecordKind{fleet.DeclareDead, fleet.Forget, fleet.DeleteIntent}).Draw(t, "kind"),
		Subject: host, Covers: fleet.Version{Host: host, Epoch: rapid.Uint64Range(0, 3).Draw(t, "epoch"), Seq: rapid.Uint64Range(1, 2).Draw(t, "seq")},
		By: "operator", Why: rapid.SampledFrom([]string{"burnt", "sold"}).Draw(t, "why"),
		AcceptedAt: time.UnixMilli(rapid.Int64Range(1, 2).Draw(t, "at")).UTC(), Acceptor: fleet.UUID{7, byte(rapid.IntRange(0, 1).Draw(t, "acceptor"))},
	}
	if r.Kind == fleet.DeleteIntent {
		r.Subject, r.Generation, r.CreatedAt = fleet.UUID{9, host[0]}, 1, time.UnixMilli(5).UTC()
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

func drawnUnion(t *rapid.T, name string) records.Union {
	u := records.Union{}
	for _, r := range rapid.SliceOfN(rapid.Custom(drawn), 0, 8).Draw(t, name) {
		u.Add(r)
	}
	return u
}

func TestMergeIsIdempotentCommutativeAndAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawnUnion(t, "a"), drawnUnion(t, "b"), drawnUnion(t, "c")
		for rule, pair := range map[string][2]records.Union{
			"idempotent":  {records.Merge(a, a), a},
			"commutative": {records.Merge(a, b), records.Merge(b, a)},
			"associative": {records.Merge(records.Merge(a, b), c), records.Merge(a, records.Merge(b, c))},
			"growing":     {records.Merge(records.Merge(a, b), a), records.Merge(a, b)},
		} {
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Fatalf("merge is not %s:\n%s", rule, diff)
			}
		}
	})
}

// Nodes that hold the same blocks say the same of every host, whatever the
// order in which the blocks came and what the holders held before.
func TestWhatIsCoveredDependsOnTheBlocksHeldAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := map[fleet.HostID][]fleet.Record{}
		one := records.NewIndex()
		for _, holder := range rapid.SliceOfN(rapid.IntRange(0, 3), 1, 12).Draw(t, "blocks") {
			id := fleet.UUID{8, byte(holder)}
			last[id] = rapid.SliceOfN(rapid.Custom(drawn), 0, 5).Draw(t, "bears")
			one.Take(id, last[id])
		}
		one.Settle()
		other := records.NewIndex()
		for _, holder := range rapid.Permutation(slices.Collect(maps.Keys(last))).Draw(t, "order") {
			other.Take(holder, last[holder])
		}
		other.Settle()
		if diff := cmp.Diff(one.All(), other.All()); diff != "" {
			t.Fatalf("unions differ:\n%s", diff)
		}
		for host := range byte(3) {
			for epoch := range uint64(5) {
				a, b := one.Covering(fleet.UUID{host + 1}, epoch), other.Covering(fleet.UUID{host + 1}, epoch)
				if diff := cmp.Diff(a, b); diff != "" {
					t.Fatalf("covering differs:\n%s", diff)
				}
			}
		}
	})
}

// Dropping what is superseded changes nothing of what is covered: holders drop
// it each for itself.
func TestSupersededRecordsSayNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := slices.Collect(maps.Values(drawnUnion(t, "all")))
		whole, pruned := records.NewIndex(), records.NewIndex()
		whole.Take(fleet.UUID{8}, all)
		whole.Settle()
		kept := slices.DeleteFunc(slices.Clone(all), func(r fleet.Record) bool {
			return whole.Standing(&r, records.Account{}) == fleet.RecordSuperseded
		})
		pruned.Take(fleet.UUID{8}, kept)
		pruned.Settle()
		for host := range byte(3) {
			for epoch := range uint64(5) {
				a, b := whole.Covering(fleet.UUID{host + 1}, epoch), pruned.Covering(fleet.UUID{host + 1}, epoch)
				if diff := cmp.Diff(a, b); diff != "" {
					t.Fatalf("covering changed:\n%s", diff)
				}
				strongest := slices.ContainsFunc(all, func(r fleet.Record) bool {
					return r.Kind == fleet.Forget && r.Subject == fleet.UUID{host + 1} && r.Covers.Epoch >= epoch
				})
				if forgotten := len(a) > 0 && a[0].Kind == fleet.Forget; forgotten != strongest {
					t.Fatalf("host %d in epoch %d: forgotten is %v, want %v", host+1, epoch, forgotten, strongest)
				}
			}
		}
		if supersedes := func(r fleet.Record) bool { return records.Supersedes(&r, &r) }; slices.ContainsFunc(all, supersedes) {
			t.Fatal("a record supersedes itself")
		}
	})
}

func record(kind fleet.RecordKind, epoch uint64) fleet.Record {
	r := fleet.Record{
		Kind: kind, Subject: fleet.UUID{1}, Covers: fleet.Version{Host: fleet.UUID{1}, Epoch: epoch, Seq: 4},
		By: "operator", Why: "burnt", AcceptedAt: time.UnixMilli(1).UTC(), Acceptor: fleet.UUID{7},
	}
	if kind == fleet.DeleteIntent {
		r.Subject, r.Generation, r.CreatedAt = fleet.UUID{9}, 2, time.UnixMilli(5).UTC()
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

func TestHostInALaterEpochIsNotCovered(t *testing.T) {
	x := records.NewIndex()
	if touched := x.Take(fleet.UUID{8}, []fleet.Record{record(fleet.DeclareDead, 5), record(fleet.Forget, 3)}); !slices.Equal(touched, []fleet.HostID{{1}}) {
		t.Errorf("touched %v", touched)
	}
	x.Settle()
	for epoch, want := range map[uint64][]fleet.RecordKind{0: {fleet.Forget, fleet.DeclareDead}, 3: {fleet.Forget, fleet.DeclareDead}, 4: {fleet.DeclareDead}, 5: {fleet.DeclareDead}, 6: nil} {
		var got []fleet.RecordKind
		for _, r := range x.Covering(fleet.UUID{1}, epoch) {
			got = append(got, r.Kind)
		}
		if !slices.Equal(got, want) {
			t.Errorf("epoch %d is covered by %v, want %v", epoch, got, want)
		}
	}
	touched := x.Take(fleet.UUID{8}, nil)
	x.Settle()
	if !slices.Equal(touched, []fleet.HostID{{1}}) || len(x.Covering(fleet.UUID{1}, 0)) > 0 {
		t.Errorf("after its holder dropped them: touched %v, covering %v", touched, x.Covering(fleet.UUID{1}, 0))
	}
}

func TestRecordsThatAreNotValidDoNothing(t *testing.T) {
	forged, later := record(fleet.Forget, 3), record("vow", 3)
	forged.Covers.Epoch = 1 << 40 // its id says 3
	x := records.NewIndex()
	touched := x.Take(fleet.UUID{8}, []fleet.Record{forged, later})
	x.Settle()
	if touched != nil || len(x.All()) > 0 {
		t.Errorf("touched %v, held %v", touched, x.All())
	}
}

func TestDecisionIsSpentWhenItsHostIsBackAndTrusted(t *testing.T) {
	x, r := records.NewIndex(), record(fleet.DeclareDead, 5)
	x.Take(fleet.UUID{8}, []fleet.Record{r})
	x.Settle()
	for name, c := range map[string]struct {
		host records.Account
		want fleet.RecordStanding
	}{
		"not heard of":         {records.Account{}, fleet.RecordStands},
		"as it was":            {records.Account{Version: fleet.Version{Host: r.Subject, Epoch: 5, Seq: 900}}, fleet.RecordStands},
		"back, in quarantine":  {records.Account{Version: fleet.Version{Host: r.Subject, Epoch: 6, Seq: 1}, Quarantined: true}, fleet.RecordStands},
		"back and out of that": {records.Account{Version: fleet.Version{Host: r.Subject, Epoch: 6, Seq: 9}}, fleet.RecordSpent},
	} {
		if got := x.Standing(&r, c.host); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestIntentIsSpentWhenItsHostShowsTheMachineNoMore(t *testing.T) {
	x, r := records.NewIndex(), record(fleet.DeleteIntent, 5)
	x.Take(fleet.UUID{8}, []fleet.Record{r})
	x.Settle()
	meant := fleet.Instance{ID: r.Subject, Host: r.Covers.Host, Ownership: fleet.Managed, Generation: 2, CreatedAt: time.UnixMilli(5)}
	raised, anew, foreign := meant, meant, meant
	raised.Generation++
	anew.CreatedAt = time.UnixMilli(6)
	foreign.Ownership = fleet.Foreign
	later := fleet.Version{Host: r.Covers.Host, Epoch: 6, Seq: 1}
	for name, c := range map[string]struct {
		at   fleet.Version
		row  *fleet.Instance
		want fleet.RecordStanding
	}{
		"nothing newer is heard":     {r.Covers, nil, fleet.RecordStands},
		"an older version":           {fleet.Version{Host: r.Covers.Host, Epoch: 4, Seq: 99}, nil, fleet.RecordStands},
		"it is still there":          {later, &meant, fleet.RecordStands},
		"it is gone":                 {later, nil, fleet.RecordSpent},
		"gone in the same epoch":     {fleet.Version{Host: r.Covers.Host, Epoch: 5, Seq: 5}, nil, fleet.RecordSpent},
		"it moved away and came":     {later, &raised, fleet.RecordSpent},
		"another was made under it":  {later, &anew, fleet.RecordSpent},
		"somebody gave it out since": {later, &foreign, fleet.RecordSpent},
	} {
		account := records.Account{Version: c.at, Find: func(fleet.InstanceID) (fleet.Instance, bool) {
			if c.row == nil {
				return fleet.Instance{}, false
			}
			return *c.row, true
		}}
		if got := x.Standing(&r, account); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestHolderDropsWhatHasDoneNothingForADay(t *testing.T) {
	r, now := record(fleet.Forget, 5), time.Unix(1000, 0)
	s := records.NewShelf([]records.Held{{Record: r}})
	standing := fleet.RecordStands
	judge := func(*fleet.Record) fleet.RecordStanding { return standing }
	sweep := func(at time.Time) (int, int) {
		changed, expired := s.Sweep(at, judge)
		for _, h := range changed {
			s.Commit(h)
		}
		for _, id := range expired {
			s.Drop(id)
		}
		return len(changed), len(expired)
	}
	for i, step := range []struct {
		standing         fleet.RecordStanding
		after            time.Duration
		changed, expired int
	}{
		{fleet.RecordStands, 0, 0, 0},
		{fleet.RecordSpent, time.Hour, 1, 0},
		{fleet.RecordStands, 2 * time.Hour, 1, 0}, // the same again: the day begins anew
		{fleet.RecordSuperseded, 3 * time.Hour, 1, 0},
		{fleet.RecordSpent, 27 * time.Hour, 0, 0},
		{fleet.RecordSpent, 27*time.Hour + 1, 0, 1},
	} {
		standing = step.standing
		if changed, expired := sweep(now.Add(step.after)); changed != step.changed || expired != step.expired {
			t.Errorf("step %d: %d changed and %d expired, want %d and %d", i, changed, expired, step.changed, step.expired)
		}
	}
	if _, held := s.Get(r.ID); held {
		t.Error("it is still held")
	}
}

func TestSmallFleetsNeedAllTheirAgents(t *testing.T) {
	for agents, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 10000: 3} {
		if got := records.Needed(agents); got != want {
			t.Errorf("of %d agents %d are needed, want %d", agents, got, want)
		}
	}
}
