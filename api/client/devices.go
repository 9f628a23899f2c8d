package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"grapevine/fleet"
)

// Devices returns what an instance has attached.
func (c *Client) Devices(ctx context.Context, id fleet.InstanceID) (fleet.DeviceList, error) {
	return get[fleet.DeviceList](ctx, c, "/v1/instances/"+id.String()+"/devices", nil)
}

// ChangeDevice attaches, detaches or grows a device of an instance. With wait
// the answer is held until the instance has no task, at most so long.
func (c *Client) ChangeDevice(ctx context.Context, id fleet.InstanceID, change fleet.DeviceChange, wait time.Duration) (fleet.Accepted, error) {
	all := "/v1/instances/" + id.String() + "/devices"
	one := all + "/" + url.PathEscape(change.Name)
	switch change.Verb {
	case fleet.AttachDevice:
		return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: all, query: waiting(wait)}, change.Device)
	case fleet.DetachDevice:
		return send[fleet.Accepted](ctx, c, call{method: http.MethodDelete, path: one, query: waiting(wait)}, nil)
	case fleet.GrowDisk:
		return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: one + "/grow", query: waiting(wait)}, fleet.GrowRequest{SizeGiB: change.Device.SizeGiB})
	default:
		return fleet.Accepted{}, fmt.Errorf("device verb %q is not known", change.Verb)
	}
}
