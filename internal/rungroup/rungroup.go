// Package rungroup runs the parts of a daemon together: they start together,
// the first to end ends all, and what was opened is closed in reverse order
// under one deadline.
package rungroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Group is a set of actors and teardown steps. The zero value is ready. It is
// filled by one goroutine and run once.
type Group struct {
	actors []actor
	steps  []step
}

type actor struct {
	name string
	run  func(context.Context) error
}

type step struct {
	name  string
	close func(context.Context) error
}

// Add adds an actor. Its run blocks until its context ends or it has failed,
// and must return promptly once the context has ended.
func (g *Group) Add(name string, run func(context.Context) error) {
	g.actors = append(g.actors, actor{name, run})
}

// Defer adds a teardown step. Steps run last in, first out, after every actor
// has returned.
func (g *Group) Defer(name string, closing func(context.Context) error) {
	g.steps = append(g.steps, step{name, closing})
}

// Run runs the actors until ctx ends or one of them returns, with or without an
// error; it then cancels the rest, waits for them, and tears down, all within
// grace. It returns the error of the first actor to end (nil when ctx ended
// it), joined with those of the teardown and the names of what did not end in
// time.
func (g *Group) Run(ctx context.Context, grace time.Duration) error {
	actors, cancel := context.WithCancel(ctx)
	defer cancel()
	type ended struct {
		name string
		err  error
	}
	endings := make(chan ended, len(g.actors))
	running := map[string]bool{}
	for _, a := range g.actors {
		running[a.name] = true
		go func() { endings <- ended{a.name, a.run(actors)} }()
	}
	var errs []error
	select {
	case first := <-endings:
		delete(running, first.name)
		if ctx.Err() == nil {
			errs = append(errs, nameError(first.name, first.err))
		}
	case <-ctx.Done():
	}
	cancel()
	deadline, done := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer done()
	for len(running) > 0 && deadline.Err() == nil {
		select {
		case e := <-endings:
			delete(running, e.name)
		case <-deadline.Done():
		}
	}
	for name := range running {
		errs = append(errs, fmt.Errorf("%s did not end within %s", name, grace))
	}
	return errors.Join(append(errs, g.teardown(deadline))...)
}

// teardown runs every step, also after one has failed.
func (g *Group) teardown(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(g.steps) {
		errs = append(errs, nameError(s.name, s.close(ctx)))
	}
	return errors.Join(errs...)
}

func nameError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
