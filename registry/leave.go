package registry

import (
	"context"

	"grapevine/fleet"
)

// Leave implements api.MeshWriter: it says good bye to the mesh, which blocks
// for a few seconds, and lets the registry end.
func (c *core) Leave(ctx context.Context) (fleet.Member, error) {
	self, err := c.Self(ctx)
	if err != nil {
		return fleet.Member{}, err
	}
	if err := c.leave(ctx); err != nil {
		return fleet.Member{}, err
	}
	c.log.Info("an operator made this registry leave the mesh; it ends")
	c.left.Tell()
	self.Status = fleet.MemberLeft
	return self, nil
}
