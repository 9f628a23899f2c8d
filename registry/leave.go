package registry

import (
	"context"
	"sync"

	"grapevine/fleet"
)

// departure is how a registry is made to leave the mesh and end.
type departure struct {
	leave func(context.Context) error // says good bye to the mesh
	once  sync.Once
	left  chan struct{}
}

func newDeparture(leave func(context.Context) error) *departure {
	return &departure{leave: leave, left: make(chan struct{})}
}

// await is the actor that ends when the registry was made to leave.
func (d *departure) await(ctx context.Context) error {
	select {
	case <-d.left:
	case <-ctx.Done():
	}
	return nil
}

// Leave implements api.MeshWriter: it says good bye to the mesh, which blocks
// for a few seconds, and lets the registry end.
func (c *core) Leave(ctx context.Context) (fleet.Member, error) {
	self, err := c.Self(ctx)
	if err != nil {
		return fleet.Member{}, err
	}
	if err := c.departure.leave(ctx); err != nil {
		return fleet.Member{}, err
	}
	c.log.Info("an operator made this registry leave the mesh; it ends")
	c.departure.once.Do(func() { close(c.departure.left) })
	self.Status = fleet.MemberLeft
	return self, nil
}
