// Package pause waits, for as long as the caller is still wanted.
package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for d, or returns false when ctx ends first.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// UpTo waits for between half of d and d, so that those who failed together do
// not try again together, or returns false when ctx ends first.
func UpTo(ctx context.Context, d time.Duration) bool {
	return For(ctx, d/2+rand.N(d/2))
}
