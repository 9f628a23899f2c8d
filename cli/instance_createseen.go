package cli

import (
	"context"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// createSeen creates an instance, shows on the terminal how far its host is, and
// waits for it. The key makes the second asking the same create as the first.
func (a *app) createSeen(ctx context.Context, node *client.Client, create fleet.Create, key string, wait time.Duration) (fleet.Accepted, error) {
	begun := time.Now()
	accepted, err := createOne(ctx, node, create, client.CreateOptions{Key: key})
	if err != nil {
		return accepted, err
	}
	if op, err := node.Operation(ctx, accepted.Operation); err == nil {
		// What became of it the answer below says, and its row.
		_, _ = a.follow(ctx, node, op, "", wait)
	}
	rest := max(wait-time.Since(begun), time.Second)
	return createOne(ctx, node, create, client.CreateOptions{Key: key, Wait: rest})
}
