package rungroup

import (
	"context"
	"sync"
)

// Exit is an actor that ends when it is told to, and its group with it.
type Exit struct {
	once sync.Once
	told chan struct{} // closed by Tell
}

// NewExit returns an exit that was not told yet.
func NewExit() *Exit { return &Exit{told: make(chan struct{})} }

// Tell ends the actor; telling it again changes nothing.
func (e *Exit) Tell() { e.once.Do(func() { close(e.told) }) }

// Run blocks until Tell is called or ctx ends, and returns nil.
func (e *Exit) Run(ctx context.Context) error {
	select {
	case <-e.told:
	case <-ctx.Done():
	}
	return nil
}
