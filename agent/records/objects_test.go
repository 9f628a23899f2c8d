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

// aboutObject makes or ends one of a few groups and key pairs.
func aboutObject(kind fleet.RecordKind, n, acceptor byte) fleet.Record {
	r := fleet.Record{
		Kind: kind, Subject: fleet.UUID{n}, Name: string('a' + rune(n%2)), Project: "p", By: "operator",
		AcceptedAt: time.UnixMilli(int64(acceptor)).UTC(), Acceptor: fleet.UUID{7, acceptor},
	}
	if kind == fleet.MakeGroup {
		r.Policy = fleet.AntiAffinity
	}
	if kind == fleet.MakeKeyPair {
		r.PublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKeX0iPgOg6xU8q0r2mYtG8yOaYvXn4C1pXxq6a9Tq0h"
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

func drawnObject(t *rapid.T) fleet.Record {
	kind := rapid.SampledFrom([]fleet.RecordKind{fleet.MakeGroup, fleet.EndGroup, fleet.MakeKeyPair, fleet.EndKeyPair}).Draw(t, "kind")
	return aboutObject(kind, byte(rapid.IntRange(1, 3).Draw(t, "object")), byte(rapid.IntRange(0, 1).Draw(t, "acceptor")))
}

// Whatever blocks come, in whatever order and however often: what is shown is
// what some block makes and none ends, found by its name and by its id.
func TestObjectsShownAreThoseMadeAndNotEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := map[fleet.HostID][]fleet.Record{}
		x := records.NewIndex()
		for range rapid.IntRange(1, 12).Draw(t, "blocks") {
			id := fleet.UUID{8, byte(rapid.IntRange(0, 3).Draw(t, "holder"))}
			last[id] = rapid.SliceOfNDistinct(rapid.Custom(drawnObject), 0, 5, func(r fleet.Record) fleet.UUID { return r.ID }).Draw(t, "bears")
			x.Take(id, last[id])
		}
		union := records.Union{}
		for _, list := range last {
			for _, r := range list {
				union.Add(r)
			}
		}
		all := slices.SortedFunc(maps.Values(union), func(a, b fleet.Record) int { return a.ID.Compare(b.ID) })
		if diff := cmp.Diff(all, x.All(), cmp.Transformer("empty", func(l []fleet.Record) []fleet.Record { return append([]fleet.Record{}, l...) })); diff != "" {
			t.Fatalf("union (-want +got):\n%s", diff)
		}
		for _, kind := range []fleet.RecordKind{fleet.MakeGroup, fleet.MakeKeyPair} {
			checkShown(t, x, union, kind)
		}
		for _, r := range all {
			_, holders, ok := x.Get(r.ID)
			var want []fleet.HostID
			for holder, list := range last {
				if slices.ContainsFunc(list, func(h fleet.Record) bool { return h.ID == r.ID }) {
					want = append(want, holder)
				}
			}
			slices.SortFunc(want, fleet.UUID.Compare)
			if !ok || !slices.Equal(holders, want) {
				t.Fatalf("record %s is held by %v, want %v", r.ID, holders, want)
			}
		}
	})
}

func checkShown(t *rapid.T, x *records.Index, union records.Union, kind fleet.RecordKind) {
	t.Helper()
	var want []fleet.Record
	byName := map[string][]fleet.Record{}
	for n := byte(1); n <= 3; n++ {
		made, there := union[aboutObject(kind, n, 0).ID]
		_, ended := union[aboutObject(kind.End(), n, 0).ID]
		got, shown := x.Object(kind, fleet.UUID{n})
		if shown != (there && !ended) || shown && got != made {
			t.Fatalf("%s %d: made %v, ended %v, shown %v as %+v", kind, n, there, ended, shown, got)
		}
		if shown {
			want = append(want, made)
			byName[made.Name] = append(byName[made.Name], made)
		}
	}
	got := x.AllObjects(kind, "p")
	if !slices.Equal(got, want) || !slices.Equal(x.AllObjects(kind, ""), want) || len(x.AllObjects(kind, "q")) > 0 || x.CountObjects(kind) != len(want) {
		t.Fatalf("listed %v (%d), want %v", got, x.CountObjects(kind), want)
	}
	for _, name := range []string{"a", "b"} {
		if got := x.Named(kind, "p", name); !slices.Equal(got, byName[name]) {
			t.Fatalf("named %s are %v, want %v", name, got, byName[name])
		}
	}
}

// The end is kept while any block bears what made the object: one that comes
// back with it shows nothing again.
func TestEndStandsWhileAnyBlockBearsWhatMadeTheObject(t *testing.T) {
	x := records.NewIndex()
	made, end := aboutObject(fleet.MakeGroup, 1, 0), aboutObject(fleet.EndGroup, 1, 0)
	here, away := fleet.UUID{8}, fleet.UUID{9}
	standing := func(r fleet.Record) fleet.RecordStanding { return x.Standing(&r, records.Account{}) }
	x.Take(here, []fleet.Record{made})
	x.Take(away, []fleet.Record{made})
	if got := standing(made); got != fleet.RecordStands {
		t.Errorf("what is made %s", got)
	}
	x.Take(here, []fleet.Record{end})
	if got := standing(made); got != fleet.RecordSuperseded {
		t.Errorf("what is ended %s", got)
	}
	if got := standing(end); got != fleet.RecordStands {
		t.Errorf("the end %s while a block bears what it ends", got)
	}
	x.Take(away, nil)
	if got := standing(end); got != fleet.RecordSpent {
		t.Errorf("the end %s when no block bears what it ends", got)
	}
	if touched := x.Take(here, nil); touched != nil {
		t.Errorf("objects are about no host, and touched %v", touched)
	}
}

// Half of the shelf is kept for decisions and ends.
func TestObjectsFillNoMoreThanHalfOfTheShelf(t *testing.T) {
	s := records.NewShelf(nil)
	one := func(i int) records.Held {
		r := aboutObject(fleet.MakeGroup, 1, 0)
		r.Subject = fleet.UUID{1, byte(i >> 8), byte(i)}
		r.ID = fleet.NameRecord(&r)
		return records.Held{Record: r}
	}
	for i := range fleet.MaxObjectsHeld {
		if s.Full(fleet.MakeKeyPair) {
			t.Fatalf("full with %d", i)
		}
		s.Commit(one(i))
		s.Commit(one(i)) // written again
	}
	if !s.Full(fleet.MakeGroup) || s.Full(fleet.EndGroup) || s.Full(fleet.Forget) {
		t.Errorf("full for groups: %v, for ends: %v, for decisions: %v", s.Full(fleet.MakeGroup), s.Full(fleet.EndGroup), s.Full(fleet.Forget))
	}
	s.Drop(one(3).ID)
	if s.Full(fleet.MakeGroup) {
		t.Error("there is no room for what was dropped")
	}
}

func TestRevocationsStandUntilNoTokenOfTheirsIsGood(t *testing.T) {
	asked := time.UnixMilli(1_000_000).UTC()
	r := (&fleet.RevokeTokens{User: "alice", At: asked}).Record()
	r.Acceptor, r.ID = fleet.UUID{7}, fleet.NameRecord(&r)
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	x := records.NewIndex()
	x.Take(fleet.UUID{7}, []fleet.Record{r})
	x.Settle()
	if got := x.Named(fleet.RevokeUser, "", "alice"); len(got) != 1 || got[0].ID != r.ID || x.Standing(&r, records.Account{}) != fleet.RecordStands {
		t.Errorf("named %v, standing %s", got, x.Standing(&r, records.Account{}))
	}
	shelf := records.NewShelf([]records.Held{{Record: r}})
	standing := func(r *fleet.Record) fleet.RecordStanding { return x.Standing(r, records.Account{}) }
	if _, expired := shelf.Sweep(asked.Add(fleet.KeepRevoked), standing); len(expired) != 0 {
		t.Error("it is dropped while a token may be good")
	}
	if changed, expired := shelf.Sweep(asked.Add(fleet.KeepRevoked+time.Second), standing); len(expired) != 1 || len(changed) != 0 {
		t.Errorf("expired %v, changed %v", expired, changed)
	}
	for i := range fleet.MaxRevocationsHeld {
		shelf.Commit(records.Held{Record: fleet.Record{ID: fleet.UUID{1, byte(i >> 8), byte(i)}, Kind: fleet.RevokeToken}})
	}
	if !shelf.Full(fleet.RevokeUser) || shelf.Full(fleet.DeclareDead) {
		t.Error("revocations are not bounded, or take the room of decisions")
	}
}
