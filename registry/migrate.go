package registry

import (
	"context"
	"errors"

	"grapevine/api/client"
	"grapevine/fleet"
)

// MigrateInstance implements api.Core: the instance's host does it, with the host
// that a name means here, or one that it finds.
func (c *core) MigrateInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Migrate, key string) (fleet.Accepted, error) {
	if ask.Host != "" {
		host, err := c.HostNamed(ask.Host)
		if err != nil {
			return fleet.Accepted{}, err
		}
		ask.Host = host.String()
	}
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.MigrateInstance(ctx, id, ask, client.KeyedOptions{Key: key})
	})
}

// movedTo returns where an instance is, where a host has refused it because it had
// it and gave it away.
func movedTo(err error) (fleet.HostID, bool) {
	var e *fleet.Error
	if !errors.As(err, &e) {
		return fleet.HostID{}, false
	}
	r, moved := fleet.FindRefusal(e.Refusals, fleet.RefuseMoved)
	return r.Host, moved && !r.Host.IsZero()
}
