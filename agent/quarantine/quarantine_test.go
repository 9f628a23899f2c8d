package quarantine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/agent/quarantine"
	"grapevine/fleet"
)

var (
	now = time.Unix(1_700_000_000, 0).UTC()
	me  = fleet.UUID{1}
	web = fleet.UUID{0xa}
	db  = fleet.UUID{0xb}
)

// known is a fleet of five, all of which is taken in.
func known() quarantine.Facts {
	return quarantine.Facts{Now: now, Others: 4, Merged: 3, Whole: true}
}

func here(id fleet.UUID, generation uint64, runs bool) quarantine.Copy {
	return quarantine.Copy{ID: id, Host: me, Generation: generation, Runs: runs, Managed: true, Heard: true}
}

func there(id fleet.UUID, host byte, generation uint64, runs bool) quarantine.Copy {
	return quarantine.Copy{ID: id, Host: fleet.UUID{host}, Generation: generation, Runs: runs, Managed: true, Heard: true}
}

func dead(epoch uint64) fleet.Record {
	return fleet.Record{Kind: fleet.DeclareDead, Subject: me, Covers: fleet.Version{Host: me, Epoch: epoch}, By: "alice", Why: "it burns"}
}

// What puts a host into quarantine, before it has taken in anything.
func TestHostIsQuarantinedForWhatItMissed(t *testing.T) {
	for name, tt := range map[string]struct {
		facts quarantine.Facts
		want  []quarantine.Kind
	}{
		"a new host":                   {quarantine.Facts{New: true}, nil},
		"a restart after seconds":      {quarantine.Facts{Told: true, AgeKnown: true, Age: 3 * time.Second}, nil},
		"just short of too long":       {quarantine.Facts{Told: true, AgeKnown: true, Age: fleet.MaxAbsence}, nil},
		"too long":                     {quarantine.Facts{Told: true, AgeKnown: true, Age: fleet.MaxAbsence + 1}, []quarantine.Kind{quarantine.Absent}},
		"an empty disk":                {quarantine.Facts{Told: true, AgeKnown: true, Blank: true}, []quarantine.Kind{quarantine.Reinstalled}},
		"a new host, with nothing":     {quarantine.Facts{New: true, Blank: true}, nil},
		"nobody knows how long":        {quarantine.Facts{Told: true}, []quarantine.Kind{quarantine.Absent}},
		"nobody was heard":             {quarantine.Facts{}, nil},
		"declared dead":                {quarantine.Facts{Decisions: []fleet.Record{dead(7)}}, []quarantine.Kind{quarantine.Decided}},
		"a reboot, and what to start":  {quarantine.Facts{Boot: "second"}, []quarantine.Kind{quarantine.Rebooted}},
		"all of it":                    {quarantine.Facts{Told: true, Decisions: []fleet.Record{dead(7)}, Boot: "second"}, []quarantine.Kind{quarantine.Absent, quarantine.Decided, quarantine.Rebooted}},
		"the boot that it passed":      {quarantine.Facts{Boot: "first"}, nil},
		"a decision that was answered": {quarantine.Facts{Decisions: []fleet.Record{dead(3)}}, nil},
	} {
		tt.facts.Now, tt.facts.Others = now, 4
		state, verdict := quarantine.Judge(quarantine.State{Cleared: 3, Boot: "first"}, &tt.facts)
		var got []quarantine.Kind
		for _, c := range state.Causes {
			got = append(got, c.Kind)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if state.On() != (verdict.Waits != "") || state.On() != (quarantine.Reason(&state, &verdict) != "") {
			t.Errorf("%s: quarantined %v, and it waits for %q", name, state.On(), verdict.Waits)
		}
		again, _ := quarantine.Judge(state, &tt.facts)
		if diff := cmp.Diff(state, again); diff != "" {
			t.Errorf("%s: judged again (-first +second):\n%s", name, diff)
		}
	}
}

// Who may be trusted again, and what the others wait for.
func TestHostLeavesOnceItHasTakenInWhatEnoughPeersHold(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*quarantine.Facts)
		waits  string
	}{
		"three of many":                  {func(*quarantine.Facts) {}, ""},
		"two of many":                    {func(f *quarantine.Facts) { f.Merged = 2 }, "2 of 3"},
		"all of two":                     {func(f *quarantine.Facts) { f.Others, f.Merged = 2, 2 }, ""},
		"one of two":                     {func(f *quarantine.Facts) { f.Others, f.Merged = 2, 1 }, "1 of 2"},
		"peers that lack much":           {func(f *quarantine.Facts) { f.Whole = false }, "3 of 3"},
		"nobody, and nobody to join":     {func(f *quarantine.Facts) { f.Others, f.Merged, f.Alone = 0, 0, true }, ""},
		"nobody, and somebody to join":   {func(f *quarantine.Facts) { f.Others, f.Merged = 0, 0 }, "no other agent"},
		"a young one, reinstalled":       {func(f *quarantine.Facts) { f.Blank, f.Early = true, true }, "pass"},
		"an old one, reinstalled":        {func(f *quarantine.Facts) { f.Blank = true }, ""},
		"a young one that was away":      {func(f *quarantine.Facts) { f.Early = true }, ""},
		"a machine shown elsewhere":      {func(f *quarantine.Facts) { f.Elsewhere = append(f.Elsewhere, there(web, 2, 1, false)) }, web.String()},
		"an older copy of one elsewhere": {func(f *quarantine.Facts) { f.Elsewhere = append(f.Elsewhere, there(web, 2, 0, false)) }, ""},
	} {
		f := known()
		f.Told, f.Here = true, []quarantine.Copy{here(web, 1, true)}
		tt.change(&f)
		state, verdict := quarantine.Judge(quarantine.State{}, &f)
		if state.On() != (tt.waits != "") || !strings.Contains(verdict.Waits, tt.waits) {
			t.Errorf("%s: quarantined %v, it waits for %q, want %q", name, state.On(), verdict.Waits, tt.waits)
		}
	}
}

// Which copy counts, by where it was found.
func TestCopyIsSupersededByOneThatCounts(t *testing.T) {
	silent := func(c quarantine.Copy) quarantine.Copy { c.Heard = false; return c }
	yields := func(c quarantine.Copy) quarantine.Copy { c.Superseded = true; return c }
	for name, tt := range map[string]struct {
		own, other             quarantine.Copy
		away                   bool // this host has been away
		superseded, twin, held bool
	}{
		"away, same generation, it runs":        {here(web, 1, false), there(web, 2, 1, true), true, true, false, false},
		"away, same generation, it is stopped":  {here(web, 1, true), there(web, 2, 1, false), true, true, false, false},
		"away, both run":                        {here(web, 1, true), there(web, 2, 1, true), true, true, true, false},
		"away, shown by a host that is silent":  {here(web, 1, true), silent(there(web, 2, 1, true)), true, true, false, false},
		"away, an older copy runs elsewhere":    {here(web, 2, true), there(web, 2, 1, true), true, false, true, false},
		"there, a newer one elsewhere":          {here(web, 1, true), there(web, 2, 2, false), false, true, false, false},
		"there, the same, which runs, not this": {here(web, 1, false), there(web, 2, 1, true), false, true, false, false},
		"there, both run in one generation":     {here(web, 1, true), there(web, 2, 1, true), false, false, true, true},
		"there, the other yields":               {here(web, 1, true), yields(there(web, 2, 1, true)), false, false, true, false},
		"there, neither runs":                   {here(web, 1, false), there(web, 2, 1, false), false, false, false, false},
		"there, the other's host is silent":     {here(web, 1, false), silent(there(web, 2, 2, true)), false, false, false, false},
		"there, another machine's id":           {here(web, 1, true), there(db, 2, 2, true), false, false, false, false},
		"there, this one is older and both run": {here(web, 1, true), there(web, 2, 2, true), false, true, true, false},
		"there, this one is newer and both run": {here(web, 2, true), there(web, 2, 1, true), false, false, true, false},
	} {
		f := known()
		f.Told, f.AgeKnown = tt.away, false
		f.Here, f.Elsewhere = []quarantine.Copy{tt.own}, []quarantine.Copy{tt.other}
		_, v := quarantine.Judge(quarantine.State{}, &f)
		if got := !v.Superseded[web].IsZero(); got != tt.superseded {
			t.Errorf("%s: superseded %v", name, got)
		}
		if got := !v.Twins[web].IsZero(); got != tt.twin {
			t.Errorf("%s: twin %v", name, got)
		}
		if got := v.Frozen[web]; got != tt.held {
			t.Errorf("%s: frozen %v", name, got)
		}
	}
}

// What was found in quarantine is kept, also where the other copy is gone since,
// until somebody adopts the copy here.
func TestSupersededStaysSoUntilItIsAdoptedOrGone(t *testing.T) {
	f := known()
	f.Told, f.Here, f.Elsewhere = true, []quarantine.Copy{here(web, 1, true), here(db, 1, false)}, []quarantine.Copy{there(web, 2, 1, true), there(db, 3, 1, true)}
	state, _ := quarantine.Judge(quarantine.State{}, &f)
	text, err := json.Marshal(state) // as a restart of the agent does
	if err != nil {
		t.Fatal(err)
	}
	state = quarantine.State{}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	f.Told, f.Elsewhere = false, nil // they were deleted there
	state, v := quarantine.Judge(state, &f)
	if !state.On() || v.Superseded[web] != (fleet.UUID{2}) || v.Superseded[db] != (fleet.UUID{3}) {
		t.Fatalf("got %+v and %+v, want both superseded and the host held back", state, v)
	}
	state = state.Released(&f, "alice", "compared")
	if state.On() || state.Release.By != "alice" || state.Release.Why != "compared" || len(state.Release.Causes) != 1 {
		t.Fatalf("after a release: %+v", state)
	}
	f.Boot = "second" // another quarantine is not held back by what was decided
	if state, v = quarantine.Judge(state, &f); state.On() || len(v.Superseded) != 2 {
		t.Errorf("got %+v and %+v, want it trusted, with both superseded still", state, v)
	}
	f.Here = []quarantine.Copy{here(web, 2, true)} // one was adopted, and one deleted by hand
	if state, v = quarantine.Judge(state, &f); len(state.Superseded)+len(v.Superseded) != 0 {
		t.Errorf("got %+v and %+v, want none superseded", state, v)
	}
}

// A decision is answered once, and another one counts anew.
func TestDecisionIsAnsweredByLeaving(t *testing.T) {
	f := known()
	f.Decisions = []fleet.Record{dead(4), dead(7)}
	f.Merged = 0
	state, _ := quarantine.Judge(quarantine.State{}, &f)
	if !state.On() {
		t.Fatal("it is not quarantined")
	}
	f.Merged = 3
	if state, _ = quarantine.Judge(state, &f); state.On() || state.Cleared != 7 {
		t.Fatalf("got %+v, want it trusted up to epoch 7", state)
	}
	if state, _ = quarantine.Judge(state, &f); state.On() {
		t.Error("the same decisions put it back")
	}
	f.Decisions, f.Merged = []fleet.Record{dead(8)}, 0
	if state, _ = quarantine.Judge(state, &f); !state.On() {
		t.Error("a further decision does not count")
	}
}
