package registry

import (
	"context"
	"sync"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/placement"
)

// Batch implements api.Core: the creates of one batch know what the others have
// proposed, and spread over the hosts as if they came one after the other.
func (c *core) Batch() func(context.Context, api.CreateInstance) (fleet.Accepted, error) {
	b := newBatch()
	return func(ctx context.Context, in api.CreateInstance) (fleet.Accepted, error) { return c.create(ctx, in, b) }
}

// batch is what the creates of one batch have proposed and been promised. Nil is
// that of a lone create.
type batch struct {
	mu    sync.Mutex
	taken map[fleet.InstanceID]placement.Taken // guarded by mu
}

func newBatch() *batch { return &batch{taken: map[fleet.InstanceID]placement.Taken{}} }

// pick proposes a host for an instance of the batch, and notes that it does.
func (b *batch) pick(c *core, req *fleet.Request, exclude map[fleet.HostID]bool) (fleet.HostID, bool) {
	if b == nil {
		return c.Pick(req, exclude)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.taken, req.ID)
	others := make([]placement.Taken, 0, len(b.taken))
	for _, t := range b.taken {
		others = append(others, t)
	}
	host, ok := c.PickBeside(req, exclude, others)
	if ok {
		b.taken[req.ID] = placement.Taken{Host: host, Resources: req.Resources}
	}
	return host, ok
}

// done notes what became of an instance: its host tells of it itself from the
// version on that it was promised at, and what was not promised takes nothing.
func (b *batch) done(req *fleet.Request, accepted *fleet.Accepted, err error) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		delete(b.taken, req.ID)
		return
	}
	b.taken[req.ID] = placement.Taken{Host: accepted.Instance.Host, Resources: req.Resources, At: accepted.Version}
}
