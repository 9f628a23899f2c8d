package keyed_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"grapevine/internal/keyed"
)

func TestOneAtATimeHasAKey(t *testing.T) {
	var (
		lock  keyed.Lock[string]
		calls sync.WaitGroup
		count int // guarded by the key alone
	)
	for range 100 {
		calls.Go(func() {
			release, err := lock.Take(t.Context(), "one")
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			count++
		})
	}
	calls.Wait()
	if count != 100 {
		t.Errorf("%d of 100 had their turn", count)
	}
}

func TestAnotherKeyIsFree(t *testing.T) {
	var lock keyed.Lock[int]
	for key := range 3 {
		if _, err := lock.Take(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	var lock keyed.Lock[string]
	release, err := lock.Take(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock.Take(ended, "one"); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up ended with %v", err)
	}
	release()
	if _, err := lock.Take(t.Context(), "one"); err != nil {
		t.Errorf("a key that was let go of: %v", err)
	}
}
