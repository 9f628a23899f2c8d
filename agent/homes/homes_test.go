package homes_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	e, ok := h.Judge(fleet.KeyChange{Record: record, IfAttempt: ifAttempt}, start)
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
	sweep := func(now time.Time) []fleet.KeyRecord {
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
	if diff := cmp.Diff([]fleet.KeyRecord{first}, sweep(back.Add(homes.Keep+time.Hour))); diff != "" {
		t.Errorf("after a day (-want +got):\n%s", diff)
	}
}
