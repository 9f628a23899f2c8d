package client

import (
	"context"
	"net/url"

	"grapevine/fleet"
)

// atLeastHeader asks for an answer that is not older than a version.
const atLeastHeader = "Grapevine-At-Least"

// AtLeast returns a client of the same node, over the same connections, whose
// reads of the fleet are answered with nothing older than a version: that of an
// earlier answer, most often to a mutation, of whichever node. Where the node
// cannot, in time, the error is fleet.CodeNotCurrent. The zero version asks for
// nothing.
func (c *Client) AtLeast(at fleet.Version) *Client {
	dated := *c
	dated.atLeast = at
	return &dated
}

// FreshHost returns one host as it is now: its agent is asked, which asks its
// hypervisor. Where that cannot be, the error is fleet.CodeNotCurrent or
// fleet.CodeHypervisorUnreachable.
func (c *Client) FreshHost(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	return get[fleet.Host](ctx, c, "/v1/hosts/"+id.String(), freshness("required"))
}

// FreshInstance returns one instance as it is now, as FreshHost does.
func (c *Client) FreshInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return get[fleet.Instance](ctx, c, "/v1/instances/"+id.String(), freshness("required"))
}

// OwnHost is FreshHost at an agent that is to ask nobody else.
func (c *Client) OwnHost(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	return get[fleet.Host](ctx, c, "/v1/hosts/"+id.String(), freshness("own"))
}

// OwnInstance is FreshInstance at an agent that is to ask nobody else.
func (c *Client) OwnInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return get[fleet.Instance](ctx, c, "/v1/instances/"+id.String(), freshness("own"))
}

func freshness(how string) url.Values { return url.Values{"fresh": {how}} }
