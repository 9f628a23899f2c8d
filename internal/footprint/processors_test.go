package footprint

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyABusyProcessHasMoreThanOneProcessor(t *testing.T) {
	for _, c := range []struct {
		name  string
		one   bool
		spent time.Duration
		want  bool
	}{
		{"at rest", true, 10 * time.Millisecond, true},
		{"some work does not wake it", true, 400 * time.Millisecond, true},
		{"busy", true, 500 * time.Millisecond, false},
		{"still busy", false, 2 * time.Second, false},
		{"nearly calm", false, 250 * time.Millisecond, false},
		{"calm again", false, 240 * time.Millisecond, true},
	} {
		if got := oneIsEnough(c.one, c.spent); got != c.want {
			t.Errorf("%s: %v spent in a second, one so far %v: got one %v, want %v", c.name, c.spent, c.one, got, c.want)
		}
	}
}

func TestIdleProcessIsOnOneProcessorUntilTheEnd(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.SetDefaultGOMAXPROCS()
	usual := runtime.GOMAXPROCS(2)
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Processors(ctx)
		}()
		time.Sleep(lookEvery + 1) // a second of virtual time: next to nothing is spent in it
		synctest.Wait()
		if got := runtime.GOMAXPROCS(0); got != 1 {
			t.Errorf("while it idles it is on %d processors, want 1", got)
		}
		end()
		<-ended
	})
	if got := runtime.GOMAXPROCS(0); got != usual {
		t.Errorf("afterwards it is on %d processors, want the usual %d", got, usual)
	}
}

func TestVariableSaysHowManyProcessors(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	Processors(t.Context()) // returns at once
	if got := runtime.GOMAXPROCS(0); got != 2 {
		t.Errorf("it is on %d processors, want the 2 that the variable says", got)
	}
}
