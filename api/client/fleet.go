package client

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"grapevine/fleet"
)

// Hosts returns every host of the fleet, ordered by name.
func (c *Client) Hosts(ctx context.Context) (fleet.List[fleet.Host], error) {
	return get[fleet.List[fleet.Host]](ctx, c, "/v1/hosts", nil)
}

// LabelledHosts returns the hosts that have all of these labels.
func (c *Client) LabelledHosts(ctx context.Context, labels map[string]string) (fleet.List[fleet.Host], error) {
	query := url.Values{}
	for key, value := range labels {
		query.Add("label", key+"="+value)
	}
	return get[fleet.List[fleet.Host]](ctx, c, "/v1/hosts", query)
}

// Host returns one host.
func (c *Client) Host(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	return get[fleet.Host](ctx, c, "/v1/hosts/"+id.String(), nil)
}

// Hardware returns what a host is made of, as it tells it now.
func (c *Client) Hardware(ctx context.Context, id fleet.HostID) (fleet.Hardware, error) {
	return get[fleet.Hardware](ctx, c, "/v1/hosts/"+id.String()+"/hardware", nil)
}

// ActHost does an action to a host and returns its row afterwards.
func (c *Client) ActHost(ctx context.Context, id fleet.HostID, action fleet.HostAction) (fleet.Host, error) {
	path := "/v1/hosts/" + id.String() + "/" + url.PathEscape(string(action))
	return send[fleet.Host](ctx, c, call{method: http.MethodPost, path: path}, nil)
}

// Flavors returns the flavors that the node knows.
func (c *Client) Flavors(ctx context.Context) (fleet.List[fleet.Flavor], error) {
	return get[fleet.List[fleet.Flavor]](ctx, c, "/v1/flavors", nil)
}

// Operation returns an operation, as the host that does it keeps it.
func (c *Client) Operation(ctx context.Context, id string) (fleet.Operation, error) {
	return get[fleet.Operation](ctx, c, "/v1/operations/"+url.PathEscape(id), nil)
}

// Explain says where a create would go and why every other host refuses. It
// promises nothing.
func (c *Client) Explain(ctx context.Context, create fleet.Create) (fleet.Explanation, error) {
	return send[fleet.Explanation](ctx, c, call{method: http.MethodPost, path: "/v1/placements"}, create)
}

// Claim proposes an instance to an agent, as a registry does.
func (c *Client) Claim(ctx context.Context, p fleet.Proposal) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, call{method: http.MethodPut, path: "/v1/claims/" + p.ID.String()}, p)
}

// SetSize asks an agent for another size of an instance of its host, as a
// registry does.
func (c *Client) SetSize(ctx context.Context, id fleet.InstanceID, size fleet.Size) (fleet.Accepted, error) {
	return send[fleet.Accepted](ctx, c, call{method: http.MethodPut, path: "/v1/sizes/" + id.String()}, size)
}

// Withdraw asks an agent whether an instance is at its host, and has it refused
// there where it is not.
func (c *Client) Withdraw(ctx context.Context, id fleet.InstanceID, ask fleet.Withdraw) (fleet.Withdrawn, error) {
	return send[fleet.Withdrawn](ctx, c, call{method: http.MethodPut, path: "/v1/withdrawals/" + id.String()}, ask)
}

// Key returns what an agent, as the key's home, holds of an instance id.
func (c *Client) Key(ctx context.Context, id fleet.InstanceID) (fleet.KeyRecord, error) {
	return get[fleet.KeyRecord](ctx, c, "/v1/keys/"+id.String(), nil)
}

// ChangeKey asks a key's home for a compare-and-set.
func (c *Client) ChangeKey(ctx context.Context, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	return send[fleet.KeyAnswer](ctx, c, call{method: http.MethodPut, path: "/v1/keys/" + id.String()}, change)
}

// Version returns the node's release.
func (c *Client) Version(ctx context.Context) (string, error) {
	answer, err := get[struct {
		Version string `json:"version"`
	}](ctx, c, "/version", nil)
	return answer.Version, err
}

// Healthy returns nil when the node answers at all.
func (c *Client) Healthy(ctx context.Context) error { return c.probe(ctx, "/healthz") }

// Ready returns nil when the node can answer for the fleet; else the error
// says what it waits for.
func (c *Client) Ready(ctx context.Context) error { return c.probe(ctx, "/readyz") }

func (c *Client) probe(ctx context.Context, path string) error {
	resp, err := c.do(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	drain(resp.Body)
	return resp.Body.Close()
}

// Metrics returns the node's metrics in Prometheus' text format. The caller
// closes it.
func (c *Client) Metrics(ctx context.Context) (io.ReadCloser, error) {
	return c.stream(ctx, "/metrics", nil)
}

// OpenAPI returns the node's own description of its API. The caller closes it.
func (c *Client) OpenAPI(ctx context.Context) (io.ReadCloser, error) {
	return c.stream(ctx, "/openapi.json", nil)
}
