package atonce

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachDoesAllAndNoMoreThanItMayAtOnce(t *testing.T) {
	for _, c := range []struct{ n, limit, rounds int }{{0, 3, 0}, {2, 3, 1}, {3, 3, 1}, {10, 3, 4}} {
		synctest.Test(t, func(t *testing.T) {
			began, done := time.Now(), make([]atomic.Int32, c.n)
			var now, most atomic.Int32
			Each(c.n, c.limit, func(i int) {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
				done[i].Add(1)
			})
			for i := range done {
				if got := done[i].Load(); got != 1 {
					t.Errorf("%+v: %d was done %d times", c, i, got)
				}
			}
			if took := time.Since(began); took != time.Duration(c.rounds)*time.Second || int(most.Load()) > c.limit {
				t.Errorf("%+v: took %s, %d at once", c, took, most.Load())
			}
		})
	}
}
