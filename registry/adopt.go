package registry

import (
	"context"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/people"
)

// adopt has a foreign machine adopted, which then takes of the quota of the default
// project. A copy that is to count in place of another takes nothing more.
func (c *core) adopt(ctx context.Context, id fleet.InstanceID, act func(context.Context, *client.Client) (fleet.Accepted, error)) (fleet.Accepted, error) {
	row, err := c.Instance(ctx, id)
	if err != nil || row.Ownership == fleet.Managed {
		return c.atOwner(ctx, id, act)
	}
	m := more{
		claim: claim{id: id, what: "adopt", task: fleet.TaskAdopting},
		taken: people.Taken{Instances: 1, Resources: row.Resources()},
	}
	return c.within(fleet.DefaultProject, m, func() (fleet.Accepted, error) {
		if err := c.nameAdopted(ctx, &row); err != nil {
			return fleet.Accepted{}, err
		}
		return c.atOwner(ctx, id, act)
	})
}

// nameAdopted has a foreign machine take its name, where that is to be unique,
// before its host is asked to adopt it: in the default project, as its host will
// have it. Should the adoption fail the machine keeps the name until it is gone,
// as does one that is disowned: an adoption that is still on its way would come
// too late otherwise.
func (c *core) nameAdopted(ctx context.Context, row *fleet.Instance) error {
	if !c.unique(fleet.DefaultProject) {
		return nil
	}
	label := row.Name
	if fleet.CheckName("name", label) != nil {
		label = row.ID.String()
	}
	n, err := c.newName(fleet.DefaultProject, label, row.ID)
	if err != nil {
		return err
	}
	if err := n.find(ctx); err != nil {
		return err
	}
	return n.hold(ctx, row.Host, max(1, n.record.Proposed))
}
