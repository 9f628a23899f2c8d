package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"grapevine/fleet"
)

const keyHeader = "Idempotency-Key"

// CreateOptions refine CreateInstance.
type CreateOptions struct {
	// Key makes the create idempotent: the same key and the same body give the
	// same machine, at any registry, however often they are sent.
	Key string
	// Wait holds the answer until the instance has no task, at most so long.
	Wait time.Duration
	// Fast has nobody asked who has the key: sent twice at once, it may make two
	// machines.
	Fast bool
}

// ActOptions refine ActInstance.
type ActOptions struct {
	// Force skips the guest's own shutdown.
	Force bool
	// Wait holds the answer until the instance has no task, at most so long.
	Wait time.Duration
}

// Instances returns a page of instances; the page's Next is the query's Marker
// for the following one.
func (c *Client) Instances(ctx context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"host": q.Host, "project": q.Project, "state": string(q.State), "name": q.Name, "marker": q.Marker,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	for key, value := range q.Labels {
		query.Add("label", key+"="+value)
	}
	return get[fleet.List[fleet.Instance]](ctx, c, "/v1/instances", query)
}

// AllInstances returns every instance that the query's filters let through,
// page after page. Its coverage is that of the last page.
func (c *Client) AllInstances(ctx context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	all := fleet.List[fleet.Instance]{Items: []fleet.Instance{}}
	for {
		page, err := c.Instances(ctx, q)
		if err != nil {
			return fleet.List[fleet.Instance]{}, err
		}
		all.Items = append(all.Items, page.Items...)
		all.Coverage = page.Coverage
		if page.Next == "" {
			return all, nil
		}
		q.Marker = page.Next
	}
}

// Instance returns one instance.
func (c *Client) Instance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	return get[fleet.Instance](ctx, c, "/v1/instances/"+id.String(), nil)
}

// CreateInstance asks for an instance. The answer is a host's durable promise;
// after a Wait its row is as it was then, and has no task if all is done.
func (c *Client) CreateInstance(ctx context.Context, create fleet.Create, opts CreateOptions) (fleet.Accepted, error) {
	r := call{method: http.MethodPost, path: "/v1/instances", query: waiting(opts.Wait)}
	if opts.Fast {
		r.query.Set("consistency", fleet.ConsistencyFast)
	}
	if opts.Key != "" {
		r.header = http.Header{keyHeader: {opts.Key}}
	}
	return send[fleet.Accepted](ctx, c, r, create)
}

// CreateBatch asks for several instances. What became of each is in the answer,
// or, where none was made and all for one reason, in the error's Batch.
func (c *Client) CreateBatch(ctx context.Context, many fleet.CreateMany, opts CreateOptions) (fleet.Batch, error) {
	r := call{method: http.MethodPost, path: "/v1/instances", query: waiting(opts.Wait)}
	if opts.Fast {
		r.query.Set("consistency", fleet.ConsistencyFast)
	}
	if opts.Key != "" {
		r.header = http.Header{keyHeader: {opts.Key}}
	}
	return send[fleet.Batch](ctx, c, r, many)
}

// ActInstance does an action to an instance.
func (c *Client) ActInstance(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts ActOptions) (fleet.Accepted, error) {
	query := waiting(opts.Wait)
	if opts.Force {
		query.Set("force", "true")
	}
	path := "/v1/instances/" + id.String() + "/" + url.PathEscape(string(action))
	return send[fleet.Accepted](ctx, c, call{method: http.MethodPost, path: path, query: query}, nil)
}

// ResizeInstance gives an instance the size of a flavor; one that runs gets more
// where its host has the trait resize-live, and never less. With wait the answer
// is held until the instance has no task, at most so long.
func (c *Client) ResizeInstance(ctx context.Context, id fleet.InstanceID, flavor string, wait time.Duration) (fleet.Accepted, error) {
	r := call{method: http.MethodPost, path: "/v1/instances/" + id.String() + "/resize", query: waiting(wait)}
	return send[fleet.Accepted](ctx, c, r, fleet.ResizeInstance{Flavor: flavor})
}

// DeleteInstance deletes an instance. With wait the answer is held, at most so
// long, until it is gone.
func (c *Client) DeleteInstance(ctx context.Context, id fleet.InstanceID, wait time.Duration) (fleet.Accepted, error) {
	r := call{method: http.MethodDelete, path: "/v1/instances/" + id.String(), query: waiting(wait)}
	return send[fleet.Accepted](ctx, c, r, nil)
}

// InstanceLog returns what the instance has printed on its console. The caller
// closes it; ctx ends it, also where it is followed.
func (c *Client) InstanceLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	query := url.Values{}
	if part.Offset != 0 {
		query.Set("offset", strconv.FormatInt(part.Offset, 10))
	}
	if part.Tail != 0 {
		query.Set("tail", strconv.FormatInt(part.Tail, 10))
	}
	if part.Follow {
		query.Set("follow", "true")
	}
	return c.stream(ctx, "/v1/instances/"+id.String()+"/log", query)
}

func (c *Client) stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	resp, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// waiting returns the query of a request that waits.
func waiting(d time.Duration) url.Values {
	query := url.Values{}
	if d > 0 {
		query.Set("wait", d.String())
	}
	return query
}
