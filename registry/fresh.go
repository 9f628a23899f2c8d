package registry

import (
	"context"

	"grapevine/api"
	"grapevine/fleet"
)

// AtLeast implements api.Dated.
func (c *core) AtLeast(ctx context.Context, at fleet.Version) (api.Reads, error) {
	owner, err := c.Current(ctx, at)
	if err != nil || owner != nil {
		return owner, err
	}
	return c, nil
}
