package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestUpToWaitsBetweenHalfAndAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			began := time.Now()
			if !UpTo(t.Context(), time.Second) {
				t.Fatal("gave up with nobody asking")
			}
			if took := time.Since(began); took < time.Second/2 || took > time.Second {
				t.Fatalf("waited %s, want half a second to one", took)
			}
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if For(ctx, time.Hour) {
			t.Error("said that the whole time had passed")
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %s, want the context's second", took)
		}
	})
}
