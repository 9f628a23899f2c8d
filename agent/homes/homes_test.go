package homes_test

import (
	"testing"
	"time"

	"grapevine/agent/homes"
	"grapevine/fleet"
)

var (
	key    = fleet.UUID{1}
	first  = fleet.KeyRecord{Instance: key, RequestHash: "a", Host: fleet.UUID{10}, Attempt: 1}
	second = fleet.KeyRecord{Instance: key, RequestHash: "a", Host: fleet.UUID{11}, Attempt: 2}
	start  = time.Unix(1_000_000, 0)
)

// put does a compare-and-set as an agent does, without the journal.
func put(h *homes.Homes, record fleet.KeyRecord, ifAttempt uint32) (fleet.KeyRecord, bool) {
	e, ok := h.Judge(record.Instance, fleet.KeyChange{Record: record, IfAttempt: ifAttempt}, start)
	if ok {
		h.Commit(e)
	}
	return e.Record, ok
}

func TestFirstWriterWins(t *testing.T) {
	h := homes.New(nil)
	if _, ok := put(h, first, 0); !ok {
		t.Fatal("the first record was not stored")
	}
	rival := first
	rival.Host = fleet.UUID{12}
	held, ok := put(h, rival, 0)
	if ok || held != first {
		t.Errorf("got stored=%v, held %v; want the first record to stand", ok, held)
	}
}

func TestSwapNeedsTheAttemptHeldAndTheSameRequest(t *testing.T) {
	other, skipping := second, second
	other.RequestHash = "b"
	skipping.Attempt = 3
	for _, c := range []struct {
		name      string
		record    fleet.KeyRecord
		ifAttempt uint32
		want      bool
	}{
		{"the next attempt", second, 1, true},
		{"an attempt that is not held", second, 2, false},
		{"another request", other, 1, false},
		{"an attempt too far", skipping, 1, false},
		{"no attempt", second, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := homes.New([]homes.Entry{{Record: first}})
			if _, ok := put(h, c.record, c.ifAttempt); ok != c.want {
				t.Errorf("got stored=%v, want %v", ok, c.want)
			}
		})
	}
}

func TestSwapOfAnUnknownKeyIsNotStored(t *testing.T) {
	h := homes.New(nil)
	if held, ok := put(h, second, 1); ok || !held.Instance.IsZero() {
		t.Errorf("got stored=%v, held %v; want neither", ok, held)
	}
}

func TestRecordOutlivesItsInstanceByADay(t *testing.T) {
	h := homes.New([]homes.Entry{{Record: first, IdleSince: start}})
	there, heard := true, true
	sweep := func(now time.Time) []homes.Entry {
		changed, expired := h.Sweep(now, func(fleet.KeyRecord) (bool, bool) { return there, heard })
		for _, e := range changed {
			h.Commit(e)
		}
		return expired
	}
	long := start.Add(48 * time.Hour)
	if got := sweep(long); len(got) != 0 {
		t.Fatalf("dropped %v while the instance is there", got)
	}
	there = false
	if got := sweep(long); len(got) != 0 {
		t.Fatalf("dropped %v as soon as the instance was gone", got)
	}
	if got := sweep(long.Add(homes.Keep)); len(got) != 0 {
		t.Fatalf("dropped %v within a day", got)
	}
	heard = false
	if got := sweep(long.Add(homes.Keep + time.Hour)); len(got) != 0 {
		t.Fatalf("dropped %v while its host cannot be heard", got)
	}
	heard = true
	back := long.Add(72 * time.Hour)
	if got := sweep(back); len(got) != 0 {
		t.Fatalf("dropped %v by what its host said before it was lost", got)
	}
	if got := sweep(back.Add(homes.Keep + time.Hour)); len(got) != 1 || got[0].Record != first {
		t.Errorf("after a day it dropped %v, want the one record", got)
	}
}

// A name is a key that instances have one after the other, and is free soon after
// its holder is gone.
func TestKeyOfAnotherKindIsForTheNextOnceItWasGivenBack(t *testing.T) {
	name := fleet.UUID{9}
	h := homes.New(nil)
	change := func(instance byte, attempt uint32, released bool) bool {
		e, ok := h.Judge(name, fleet.KeyChange{IfAttempt: attempt - 1, Record: fleet.KeyRecord{
			Kind: fleet.GrantName, Instance: fleet.UUID{instance}, Host: fleet.UUID{10}, Attempt: attempt, Released: released,
		}}, start)
		if ok {
			h.Commit(e)
		}
		return ok
	}
	if !change(1, 1, false) || change(2, 2, false) {
		t.Fatal("the first instance does not have the name, or a second one has it too")
	}
	if !change(1, 2, true) || !change(2, 3, false) || change(1, 4, true) {
		t.Fatal("what was given back is not the next one's alone")
	}
	h = homes.New(h.All())
	if held, ok := h.Get(name); !ok || held.Instance != (fleet.UUID{2}) {
		t.Fatalf("the journal remembers %+v", held)
	}
	there := true
	sweep := func(at time.Time) int {
		changed, expired := h.Sweep(at, func(fleet.KeyRecord) (bool, bool) { return there, true })
		for _, e := range changed {
			h.Commit(e)
		}
		return len(expired)
	}
	sweep(start)
	there = false
	if n := sweep(start.Add(time.Hour)) + sweep(start.Add(time.Hour+fleet.ReleaseAfter)); n != 0 {
		t.Error("it was dropped as soon as its instance was gone")
	}
	if sweep(start.Add(2*time.Hour)) != 1 {
		t.Error("it was kept though its instance is gone")
	}
}
