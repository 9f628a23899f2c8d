package agent

import (
	"sync"

	"grapevine/fleet"
)

// keyed locks single ids, so that what is judged about one id and the fsync
// that makes it durable are one step, while other ids share that fsync.
type keyed struct {
	mu   sync.Mutex
	held map[fleet.UUID]*keyedLock
}

type keyedLock struct {
	sync.Mutex
	users int
}

// lock blocks until no one else holds id, and returns how to let go of it.
func (k *keyed) lock(id fleet.UUID) (unlock func()) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[fleet.UUID]*keyedLock{}
	}
	l := k.held[id]
	if l == nil {
		l = &keyedLock{}
		k.held[id] = l
	}
	l.users++
	k.mu.Unlock()

	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.held, id)
		}
	}
}
