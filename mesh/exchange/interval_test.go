package exchange

import (
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

func TestNewsWaitLongerWhileTicksComeLate(t *testing.T) {
	now := time.Unix(1000, 0)
	e := New(fleet.HostID{1}, true, replica.New(), 0)
	e.Connect(fleet.UUID{2}, true, func() {}, now)
	for range 10 {
		e.tell(now)
		now = e.FlushDue().Add(e.interval)
		e.Flush(now)
	}
	if e.interval != lateFlush {
		t.Errorf("after ten late ticks the interval is %v, want %v", e.interval, lateFlush)
	}
	for range 10 {
		e.tell(now)
		now = e.FlushDue()
		e.Flush(now)
	}
	if e.interval != minFlush {
		t.Errorf("after ten ticks in time the interval is %v, want %v", e.interval, minFlush)
	}
}
