package agent

import (
	"context"

	"grapevine/fleet"
)

// Leave implements api.MeshWriter: it says good bye to the mesh, which blocks
// for a few seconds, and lets the agent end. The host's machines go on.
func (a *Agent) Leave(ctx context.Context) (fleet.Member, error) {
	self, err := a.Self(ctx)
	if err != nil {
		return fleet.Member{}, err
	}
	if err := a.mesh.Leave(ctx); err != nil {
		return fleet.Member{}, err
	}
	a.log.Info("an operator made this agent leave the mesh; it ends")
	a.left.Tell()
	self.Status = fleet.MemberLeft
	return self, nil
}
