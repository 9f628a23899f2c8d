package witness_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/agent/witness"
	"grapevine/fleet"
	"grapevine/grants"
)

var (
	key = fleet.UUID{7}
	set = fleet.WitnessSet{Number: 1, Members: []fleet.HostID{{1}, {2}, {3}, {4}, {5}}}
	at  = time.Unix(1_000_000, 0)
)

// five is a fleet of witnesses whose journals are maps.
type five struct {
	offices map[fleet.HostID]*witness.Office
	entries map[fleet.HostID]fleet.GrantEntry // of the one key
}

func newFive() *five {
	f := &five{offices: map[fleet.HostID]*witness.Office{}, entries: map[fleet.HostID]fleet.GrantEntry{}}
	for _, id := range set.Members {
		f.offices[id] = &witness.Office{Self: id}
		f.offices[id].Adopt(fleet.WitnessUpdate{Set: set, Found: true})
	}
	return f
}

// ask puts a round's question to these witnesses, and hears them.
func (f *five) ask(r *grants.Round, now time.Time, of ...byte) (verdict grants.Verdict, o grants.Outcome) {
	ask := r.Ask()
	for _, n := range of {
		id := fleet.HostID{n}
		next, answer, write := f.offices[id].Judge(f.entries[id], ask)
		if write {
			f.entries[id] = next
		}
		if v, out := r.Hear(id, ask, answer, now); v != grants.Waiting {
			verdict, o = v, out
		}
	}
	return verdict, o
}

func grant(instance, token byte) *fleet.Grant {
	g := &fleet.Grant{KeyRecord: fleet.KeyRecord{Kind: fleet.GrantName}, Token: fleet.UUID{token}}
	g.Instance, g.Attempt = fleet.UUID{instance}, 1
	return g
}

func begin(round uint64, g *fleet.Grant) *grants.Round {
	c := fleet.GrantChange{Grant: g}
	if g != nil {
		c.IfAttempt = g.Attempt - 1
	}
	return grants.Begin(set, key, fleet.Ballot{Round: round, Asker: fleet.UUID{byte(round)}}, c, at)
}

// take runs a round at three witnesses to its end.
func (f *five) take(t *testing.T, r *grants.Round, of ...byte) grants.Outcome {
	t.Helper()
	verdict, o := f.ask(r, at, of...)
	if verdict == grants.Proceed {
		verdict, o = f.ask(r, at, of...)
	}
	if verdict != grants.Decided {
		t.Fatalf("the round came to %d, want an outcome", verdict)
	}
	return o
}

func TestGrantIsFoundByWhoAsksOtherWitnesses(t *testing.T) {
	f := newFive()
	if o := f.take(t, begin(1, grant(10, 1)), 1, 2, 3); !o.Stored {
		t.Fatal("the first to ask did not get the key")
	}
	o := f.take(t, begin(2, grant(11, 2)), 3, 4, 5)
	if o.Stored || o.Grant == nil || o.Grant.Instance != (fleet.UUID{10}) {
		t.Errorf("got %+v; want the grant of the first", o)
	}
}

func TestGrantOfAMinorityIsCompletedAndNotContradicted(t *testing.T) {
	f := newFive()
	lost := begin(1, grant(10, 1))
	f.ask(lost, at, 1, 2, 3)
	f.ask(lost, at, 3) // the other two questions are lost
	if o := f.take(t, begin(2, grant(11, 2)), 3, 4, 5); o.Stored || o.Grant.Instance != (fleet.UUID{10}) {
		t.Fatalf("got %+v; want what the third witness had accepted", o)
	}
	if o := f.take(t, begin(3, nil), 1, 2, 4); o.Grant == nil || o.Grant.Instance != (fleet.UUID{10}) {
		t.Errorf("got %+v; want it to be known without the third too", o)
	}
}

func TestWhoseAnswerWasLostKnowsItsGrantAgain(t *testing.T) {
	f := newFive()
	mine := grant(10, 1)
	lost := begin(1, mine)
	f.ask(lost, at, 1, 2, 3)
	f.ask(lost, at, 2)
	if o := f.take(t, begin(2, mine), 1, 2, 4); !o.Stored {
		t.Errorf("got %+v; want it stored", o)
	}
}

func TestRoundThatTookTooLongCountsForNothing(t *testing.T) {
	f := newFive()
	slow := begin(1, grant(10, 1))
	if v, _ := f.ask(slow, at, 1, 2, 3); v != grants.Proceed {
		t.Fatalf("got verdict %d, want to go on", v)
	}
	if v, _ := f.ask(slow, at.Add(fleet.GrantRound+1), 1, 2, 3); v != grants.Late {
		t.Errorf("got verdict %d, want that it is late", v)
	}
}

// TestForgottenPromiseLetsNoOlderRoundThrough: the second witness promised a
// later round and lost its memory; the older round's question comes then.
func TestForgottenPromiseLetsNoOlderRoundThrough(t *testing.T) {
	f := newFive()
	older, later := begin(1, grant(10, 1)), begin(2, grant(11, 2))
	f.ask(older, at, 2, 3, 4)
	f.ask(later, at, 1, 2, 5)
	delete(f.entries, fleet.HostID{2})
	ask := older.Ask()
	for _, n := range []byte{2, 3, 4} {
		id := fleet.HostID{n}
		if _, answer, _ := f.offices[id].Judge(f.entries[id], ask); answer.OK != (n != 2) {
			t.Errorf("witness %d accepted: %v", n, answer.OK)
		}
	}
}

// TestDroppedBallotsStayBelowNewOnes: witness 3 forgets a grant of a high ballot,
// which others still have; a new grant at a low ballot would later lose to it.
func TestDroppedBallotsStayBelowNewOnes(t *testing.T) {
	f := newFive()
	f.take(t, begin(9, grant(10, 1)), 1, 2, 3)
	three := fleet.HostID{3}
	f.offices[three].Drop(f.entries[three])
	delete(f.entries, three)
	if v, _ := f.ask(begin(2, grant(11, 2)), at, 3, 4, 5); v != grants.Outbid {
		t.Fatalf("got verdict %d, want that the round is too low", v)
	}
	if o := f.take(t, begin(10, grant(12, 3)), 3, 4, 5); !o.Stored {
		t.Fatal("a round above the floor did not get the free key")
	}
	if o := f.take(t, begin(11, nil), 1, 2, 5); o.Grant.Instance != (fleet.UUID{12}) {
		t.Errorf("the key was later found with %s", o.Grant.Instance)
	}
}

func TestWitnessAnswersOnlyUnderItsOwnNumber(t *testing.T) {
	f := newFive()
	next, err := set.Replace(fleet.HostID{5}, fleet.HostID{6})
	if err != nil {
		t.Fatal(err)
	}
	one := f.offices[fleet.HostID{1}]
	one.Adopt(fleet.WitnessUpdate{Set: next})
	_, answer, write := one.Judge(fleet.GrantEntry{}, begin(1, grant(10, 1)).Ask())
	if write || answer.OK || answer.Set == nil || answer.Set.Number != 2 {
		t.Errorf("got %+v, write %v; want the newer set and nothing else", answer, write)
	}
	if !one.Grants() {
		t.Error("a member that stays has to learn anew")
	}
}

func TestOnlyWhoStayedAMemberKeepsItsOffice(t *testing.T) {
	change, _ := set.Replace(fleet.HostID{5}, fleet.HostID{6})
	after := change.Settle()
	back, _ := after.Replace(fleet.HostID{6}, fleet.HostID{5})
	again := back.Settle()
	off := fleet.WitnessSet{Number: 3, Members: set.Members}
	for _, c := range []struct {
		name string
		self byte
		sets []fleet.WitnessSet
		want bool
	}{
		{"one that was never changed", 1, []fleet.WitnessSet{change, after, back, again}, true},
		{"one that missed the first step", 1, []fleet.WitnessSet{after}, true},
		{"one that missed two changes", 1, []fleet.WitnessSet{again}, false},
		{"one that left and came back", 5, []fleet.WitnessSet{change, after, back}, false},
		{"one that left and came back, and heard of it late", 5, []fleet.WitnessSet{change, back}, false},
		{"one that left and came back, and heard of nothing", 5, []fleet.WitnessSet{again}, false},
		{"one whose replacement was called off", 5, []fleet.WitnessSet{change, off}, true},
		{"a new one", 6, []fleet.WitnessSet{change, after}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := witness.Office{Self: fleet.HostID{c.self}}
			o.Adopt(fleet.WitnessUpdate{Set: set, Found: set.Has(o.Self)})
			for _, s := range c.sets {
				o.Adopt(fleet.WitnessUpdate{Set: s})
			}
			if o.Grants() != c.want {
				t.Errorf("grants: %v, want %v", o.Grants(), c.want)
			}
		})
	}
}

func TestNewJournalLearnsFromAMajorityOfTheOthers(t *testing.T) {
	o := witness.Office{Self: fleet.HostID{2}}
	o.Adopt(fleet.WitnessUpdate{Set: set})
	l := witness.NewLesson(&o)
	if diff := cmp.Diff([]fleet.HostID{{1}, {3}, {4}, {5}}, l.From()); diff != "" {
		t.Fatalf("to be read (-want +got):\n%s", diff)
	}
	for i, n := range []byte{1, 4, 5} {
		if l.Over() {
			t.Errorf("over after %d of the others", i)
		}
		l.Read(fleet.HostID{n})
	}
	if !l.Over() {
		t.Error("not over after three of the others")
	}
}

func TestKeyIsForgottenOnlyWhenItsInstanceIsSurelyGone(t *testing.T) {
	name, create := *grant(10, 1), *grant(10, 1)
	create.Kind = fleet.GrantCreate
	back := name
	back.Released = true
	const there, gone, unheard = "there", "gone", "unheard"
	for _, c := range []struct {
		name  string
		grant *fleet.Grant
		was   string
		wait  time.Duration
		now   string
		want  bool
	}{
		{"a name whose instance is gone", &name, there, fleet.ReleaseAfter, gone, true},
		{"a name whose instance never came", &name, gone, fleet.ReleaseAfter, gone, false},
		{"a name whose instance never came for a day", &name, gone, fleet.GrantKeep, gone, true},
		{"a name whose host is not heard", &name, unheard, 10 * fleet.GrantKeep, unheard, false},
		{"an idempotency key whose instance is gone", &create, there, fleet.ReleaseAfter, gone, false},
		{"an idempotency key whose instance is gone for a day", &create, there, fleet.GrantKeep, gone, true},
		{"an instance that is there", &create, there, 10 * fleet.GrantKeep, there, false},
		{"a promise without a grant", nil, gone, fleet.GrantLife, gone, true},
		{"a key that was given back", &back, unheard, fleet.GrantKeep, unheard, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := witness.NewWatch()
			e := fleet.GrantEntry{Key: key, Accepted: fleet.Ballot{Round: 1}, Grant: c.grant}
			w.Look(e, at, c.was == there, c.was != unheard)
			w.Look(e, at.Add(time.Second), c.now == there, c.now != unheard)
			if w.Look(e, at.Add(c.wait), c.now == there, c.now != unheard) && c.was != there {
				t.Error("dropped too early")
			}
			if got := w.Look(e, at.Add(c.wait+2*time.Second), c.now == there, c.now != unheard); got != c.want {
				t.Errorf("dropped: %v, want %v", got, c.want)
			}
		})
	}
}

// TestRefusalTellsWhatIsDecided: who is outbid by one who is still at work reads
// of the refusals what a majority has accepted, and nothing of a minority's.
func TestRefusalTellsWhatIsDecided(t *testing.T) {
	for _, c := range []struct {
		name     string
		accepted []byte // who have accepted the first's grant
		want     grants.Verdict
	}{
		{"all have it", []byte{1, 2, 3}, grants.Decided},
		{"two have it", []byte{1, 2}, grants.Outbid},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFive()
			first := begin(1, grant(10, 1))
			f.ask(first, at, 1, 2, 3)
			f.ask(first, at, c.accepted...)
			f.ask(begin(9, nil), at, 1, 2, 3) // and goes no further
			verdict, o := f.ask(begin(2, grant(11, 2)), at, 1, 2, 3)
			if verdict != c.want || verdict == grants.Decided && (o.Stored || o.Grant.Instance != (fleet.UUID{10})) {
				t.Errorf("got verdict %d, %+v; want verdict %d", verdict, o, c.want)
			}
			if v, _ := f.ask(begin(3, first.Ask().Grant), at, 1, 2, 3); v != c.want {
				t.Errorf("who had asked first got verdict %d, want %d", v, c.want)
			}
		})
	}
}

// TestRefusalIsNoAnswerToWhoWouldChangeTheKey: a compare-and-set that would
// succeed needs a round of its own.
func TestRefusalIsNoAnswerToWhoWouldChangeTheKey(t *testing.T) {
	f := newFive()
	f.take(t, begin(1, grant(10, 1)), 1, 2, 3)
	f.ask(begin(9, nil), at, 1, 2, 3)
	next := grant(10, 2)
	next.Attempt = 2
	if v, _ := f.ask(begin(2, next), at, 1, 2, 3); v != grants.Outbid {
		t.Errorf("got verdict %d, want to be outbid", v)
	}
}
