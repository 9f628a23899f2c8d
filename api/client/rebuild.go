package client

import (
	"context"
	"net/http"
	"time"

	"grapevine/fleet"
)

// KeyedOptions refine a mutation that can be sent again.
type KeyedOptions struct {
	// Key is the Idempotency-Key: the same key and request are one operation.
	// Empty: each call is another one.
	Key string
	// Wait holds the answer until the instance has no task, at most so long.
	Wait time.Duration
}

// RebuildInstance makes the first disk of an instance anew.
func (c *Client) RebuildInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rebuild, opts KeyedOptions) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, opts.call(id, "rebuild"), ask)
}

// RescueInstance boots an instance from another image.
func (c *Client) RescueInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rescue, opts KeyedOptions) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, opts.call(id, "rescue"), ask)
}

// UnrescueInstance makes a rescued instance what it was.
func (c *Client) UnrescueInstance(ctx context.Context, id fleet.InstanceID, opts KeyedOptions) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, opts.call(id, "unrescue"), nil)
}

// call is the request that does this to an instance.
func (o KeyedOptions) call(id fleet.InstanceID, verb string) call {
	r := call{method: http.MethodPost, path: "/v1/instances/" + id.String() + "/" + verb, query: waiting(o.Wait)}
	if o.Key != "" {
		r.header = http.Header{"Idempotency-Key": {o.Key}}
	}
	return r
}
