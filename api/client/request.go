package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"

	"grapevine/fleet"
	"grapevine/internal/tracing"
)

// maxAnswer bounds what is read of one answer: a page of fleet.MaxPage rows of
// fleet.MaxInstanceRowBytes, and as JSON three times that.
const maxAnswer = 3 * fleet.MaxPage * fleet.MaxInstanceRowBytes

// call is one request before it is sent.
type call struct {
	method string
	path   string // escaped, from the root
	query  url.Values
	header http.Header
	body   io.Reader // nil for none
	length int64     // of body
}

// get reads a route into a value.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	err := c.json(ctx, call{method: http.MethodGet, path: path, query: query}, &out)
	return out, err
}

// send sends a value and reads the answer into another.
func send[T any](ctx context.Context, c *Client, r call, body any) (T, error) {
	var out T
	if body != nil {
		content, err := json.Marshal(body)
		if err != nil {
			return out, fmt.Errorf("encode request: %w", err)
		}
		if r.header == nil {
			r.header = http.Header{}
		}
		r.header.Set("Content-Type", "application/json")
		r.body, r.length = bytes.NewReader(content), int64(len(content))
	}
	err := c.json(ctx, r, &out)
	return out, err
}

// json does a call whose answer is JSON.
func (c *Client) json(ctx context.Context, r call, out any) error {
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return &TransportError{Addr: c.addr, Sent: true, Err: fmt.Errorf("read answer: %w", err)}
	}
	drain(resp.Body)
	return nil
}

// do sends the call and returns the answer of a call that succeeded, whose body
// the caller closes.
func (c *Client) do(ctx context.Context, r call) (*http.Response, error) {
	ctx, span := tracing.StartCall(ctx, r.method)
	c.describe(span, r.method)
	resp, err := c.exchange(ctx, r)
	span.End(err)
	return resp, err
}

// describe tells the span of a request where it goes; the node's own span below
// it says what is asked.
func (c *Client) describe(span tracing.Span, method string) {
	if !span.Recording() {
		return
	}
	span.Text("http.request.method", method)
	if to, err := url.Parse(c.base); err == nil {
		span.Text("server.address", to.Hostname())
		if port, err := strconv.ParseUint(to.Port(), 10, 16); err == nil {
			span.Number("server.port", int64(port))
		}
	}
}

func (c *Client) exchange(ctx context.Context, r call) (*http.Response, error) {
	var way way
	req, err := c.build(httptrace.WithClientTrace(ctx, way.trace(r)), r)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, way.failure(ctx, c.addr, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer func() { _ = resp.Body.Close() }() // all that matters was read
		err := c.problem(resp)
		drain(resp.Body)
		return nil, err
	}
	return resp, nil
}

func (c *Client) build(ctx context.Context, r call) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, r.body)
	if err != nil {
		return nil, fmt.Errorf("make request to %s: %w", c.addr, err)
	}
	if r.length > 0 {
		req.ContentLength = r.length
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	if !c.atLeast.IsZero() && r.method == http.MethodGet {
		req.Header.Set(atLeastHeader, c.atLeast.String())
	}
	tracing.Inject(ctx, req.Header)
	pass(req)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// drain reads what little is left, so that the connection can be used again.
func drain(body io.Reader) {
	_, _ = io.CopyN(io.Discard, body, 4<<10) // what it cannot read costs a connection, nothing else
}
