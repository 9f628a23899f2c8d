package drivers

import (
	"context"

	"grapevine/fleet"
)

// progressKey is where a context has whom to tell.
type progressKey struct{}

// Telling returns a context under which a call tells how far it is. Tell may be
// called from several goroutines, and must return at once.
func Telling(ctx context.Context, tell func(fleet.Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// Tell says how far the call with this context is, to whoever wants to know. The
// zero value says that there is nothing to say any more. A hypervisor that does
// not say how far it is tells nothing: no progress is ever guessed.
func Tell(ctx context.Context, now fleet.Progress) {
	if tell, ok := ctx.Value(progressKey{}).(func(fleet.Progress)); ok {
		tell(now)
	}
}
