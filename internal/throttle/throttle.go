// Package throttle paces many callers, each by a name of its own.
package throttle

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxCallers bounds the callers that are remembered: 10,000 of some 200 B each.
const maxCallers = 10_000

// Throttle lets each caller do something so often, and a burst at once. It may be
// used from several goroutines at once.
type Throttle struct {
	mu      sync.Mutex
	callers map[string]*rate.Limiter // guarded by mu
}

// New returns a throttle that nobody has used.
func New() *Throttle { return &Throttle{callers: map[string]*rate.Limiter{}} }

// Allow reports whether a caller may do it once more now, at this many a second
// and with a burst of so many.
func (t *Throttle) Allow(caller string, perSecond float64, burst int, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.callers[caller]
	if l == nil {
		if len(t.callers) >= maxCallers {
			t.forget(now)
		}
		l = rate.NewLimiter(rate.Limit(perSecond), burst)
		t.callers[caller] = l
	}
	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimitAt(now, rate.Limit(perSecond))
		l.SetBurstAt(now, burst)
	}
	return l.AllowN(now, 1)
}

// forget drops callers of whom nothing is to be remembered, and where there are
// none any half of all. The caller holds mu.
func (t *Throttle) forget(now time.Time) {
	for name, l := range t.callers {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(t.callers, name)
		}
	}
	for name := range t.callers {
		if len(t.callers) <= maxCallers/2 {
			return
		}
		delete(t.callers, name)
	}
}
