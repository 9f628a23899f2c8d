// Package keyed lets one caller at a time work on each of many things that are
// told apart by a key.
package keyed

import (
	"context"
	"sync"
)

// Lock holds a lock for each key that somebody has. The zero value is ready.
type Lock[K comparable] struct {
	mu   sync.Mutex
	held map[K]chan struct{} // closed when it is let go of
}

// Take waits until no one else has the key, and returns how to let go of it;
// or ctx's error, when that ends first. Those who wait are in no order.
func (l *Lock[K]) Take(ctx context.Context, key K) (release func(), err error) {
	for {
		other := l.try(key)
		if other == nil {
			return func() { l.release(key) }, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes the key, or returns what is closed when its holder lets go of it.
func (l *Lock[K]) try(key K) (other <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held, taken := l.held[key]; taken {
		return held
	}
	if l.held == nil {
		l.held = map[K]chan struct{}{}
	}
	l.held[key] = make(chan struct{})
	return nil
}

func (l *Lock[K]) release(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[key])
	delete(l.held, key)
}
