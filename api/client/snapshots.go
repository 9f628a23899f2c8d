package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"grapevine/fleet"
)

// Snapshots returns the snapshots of an instance, oldest first.
func (c *Client) Snapshots(ctx context.Context, id fleet.InstanceID) (fleet.SnapshotList, error) {
	return get[fleet.SnapshotList](ctx, c, "/v1/instances/"+id.String()+"/snapshots", nil)
}

// ChangeSnapshot takes, deletes or goes back to a snapshot of an instance. With
// wait the answer is held until the instance has no task, at most so long.
func (c *Client) ChangeSnapshot(ctx context.Context, id fleet.InstanceID, change fleet.SnapshotChange, wait time.Duration) (fleet.Accepted, error) {
	all := "/v1/instances/" + id.String() + "/snapshots"
	one := all + "/" + url.PathEscape(change.Name)
	switch change.Verb {
	case fleet.TakeSnapshot:
		return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: all, query: waiting(wait)}, fleet.CreateSnapshot{Name: change.Name})
	case fleet.RevertSnapshot:
		return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: one + "/revert", query: waiting(wait)}, nil)
	case fleet.DeleteSnapshot:
		return send[fleet.Accepted](ctx, c, call{method: http.MethodDelete, path: one, query: waiting(wait)}, nil)
	default:
		return fleet.Accepted{}, fmt.Errorf("snapshot verb %q is not known", change.Verb)
	}
}
