package agent

import (
	"context"

	"grapevine/fleet"
	"grapevine/internal/keyed"
)

// idLock locks single ids, so that what is judged about one id and the fsync
// that makes it durable are one step, while other ids share that fsync.
type idLock struct{ keyed.Lock[fleet.UUID] }

// lock waits until no one else holds id, and returns how to let go of it.
func (l *idLock) lock(id fleet.UUID) (unlock func()) {
	unlock, _ = l.Take(context.Background(), id) // which does not end
	return unlock
}
