package rungroup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFirstActorToEndEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var g Group
		g.Add("steady", untilCancelled)
		g.Add("failing", func(context.Context) error { time.Sleep(time.Minute); return broken })
		err := g.Run(t.Context(), time.Second)
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "failing: ") {
			t.Errorf("got %v, want failing: broken", err)
		}
	})
}

func TestEndOfContextIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var g Group
		g.Add("steady", untilCancelled)
		if err := g.Run(ctx, time.Second); err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

func TestTeardownIsLastInFirstOutAfterTheActors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		broken := errors.New("will not close")
		var g Group
		g.Defer("journal", func(context.Context) error { order = append(order, "journal"); return nil })
		g.Defer("listener", func(context.Context) error { order = append(order, "listener"); return broken })
		g.Add("short", func(context.Context) error { order = append(order, "actor"); return nil })
		err := g.Run(t.Context(), time.Second)
		if diff := cmp.Diff([]string{"actor", "listener", "journal"}, order); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !errors.Is(err, broken) {
			t.Errorf("got %v, want the listener's error", err)
		}
	})
}

func TestActorThatHangsIsNamedAndDoesNotHoldUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		closed := false
		var g Group
		g.Defer("journal", func(context.Context) error { closed = true; return nil })
		g.Add("deaf", func(context.Context) error { <-release; return nil })
		g.Add("short", func(context.Context) error { return nil })
		start := time.Now()
		err := g.Run(t.Context(), 5*time.Second)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %s, want the grace of 5s", took)
		}
		if err == nil || !strings.Contains(err.Error(), "deaf did not end within 5s") || !closed {
			t.Errorf("got %v, closed %v; want deaf named and the journal closed", err, closed)
		}
		close(release)
	})
}

func TestExitEndsItsGroupWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		exit := NewExit()
		g.Add("steady", untilCancelled)
		g.Add("exit", exit.Run)
		ended := make(chan error, 1)
		go func() { ended <- g.Run(t.Context(), time.Second) }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("the group ended untold: %v", err)
		default:
		}
		exit.Tell()
		exit.Tell()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}
