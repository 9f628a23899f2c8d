package registry

import (
	"context"

	"grapevine/fleet"
)

// nameAdopted has a foreign machine take its name, where that is to be unique,
// before its host is asked to adopt it: in the default project, as its host will
// have it. Should the adoption fail the machine keeps the name until it is gone,
// as does one that is disowned: an adoption that is still on its way would come
// too late otherwise.
func (c *core) nameAdopted(ctx context.Context, id fleet.InstanceID) error {
	row, err := c.Instance(ctx, id)
	if err != nil || row.Ownership == fleet.Managed || !c.unique(fleet.DefaultProject) {
		return nil //nolint:nilerr // who asks the host finds the same error
	}
	label := row.Name
	if fleet.CheckName("name", label) != nil {
		label = id.String()
	}
	n, err := c.newName(fleet.DefaultProject, label, id)
	if err != nil {
		return err
	}
	if err := n.find(ctx); err != nil {
		return err
	}
	return n.hold(ctx, row.Host, max(1, n.record.Proposed))
}
