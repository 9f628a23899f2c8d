package throttle

import (
	"strconv"
	"testing"
	"time"
)

func TestEachCallerHasItsOwnPace(t *testing.T) {
	now := time.Unix(1000, 0)
	th := New()
	allowed := func(caller string, times int) (n int) {
		for range times {
			if th.Allow(caller, 2, 3, now) {
				n++
			}
		}
		return n
	}
	if a, b := allowed("a", 10), allowed("b", 2); a != 3 || b != 2 {
		t.Errorf("a was allowed %d times, b %d; want a burst of 3, and 2", a, b)
	}
	now = now.Add(time.Second)
	if a := allowed("a", 10); a != 2 {
		t.Errorf("a second later a was allowed %d times, want 2", a)
	}
	th.Allow("a", 100, 100, now)
	if n := th.Allow("a", 100, 100, now.Add(15*time.Millisecond)); !n {
		t.Error("a new pace does not hold at once")
	}
}

func TestCallersAreForgottenAndMemoryIsBounded(t *testing.T) {
	th, now := New(), time.Unix(1000, 0)
	for i := range 3 * maxCallers {
		th.Allow(strconv.Itoa(i), 1, 1, now)
	}
	if len(th.callers) > maxCallers {
		t.Errorf("%d callers are remembered", len(th.callers))
	}
}
