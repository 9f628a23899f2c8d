package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"grapevine/fleet"
)

// maxEvent bounds one event: fleet.MaxWatchRows rows with their names, and the
// rest.
const maxEvent = 64 << 10

// Watch is a stream of changes at a node. It is used by one goroutine.
type Watch struct {
	addr  string
	body  io.ReadCloser
	lines *bufio.Scanner
}

// Watch begins to watch what becomes of the hosts' blocks at the node, of one
// host (id or name) or, with an empty host, of all. Changes from its return on
// are told. The caller closes it; ctx ends it.
func (c *Client) Watch(ctx context.Context, host string) (*Watch, error) {
	query := url.Values{}
	if host != "" {
		query.Set("host", host)
	}
	body, err := c.stream(ctx, "/v1/mesh/watch", query)
	if err != nil {
		return nil, err
	}
	w := &Watch{addr: c.addr, body: body, lines: bufio.NewScanner(body)}
	w.lines.Buffer(nil, maxEvent)
	return w, nil
}

// Next blocks until the next change. Its error is a *fleet.Error when the node
// ended the watch and says why; else the connection was cut off, or ctx ended.
// Events of kinds that this release does not know are passed over.
func (w *Watch) Next() (fleet.HostChange, error) {
	var name string
	for w.lines.Scan() {
		field, value, _ := bytes.Cut(w.lines.Bytes(), []byte(": "))
		switch {
		case string(field) == "event":
			name = string(value)
		case string(field) == "data" && name == "change":
			var c fleet.HostChange
			if err := json.Unmarshal(value, &c); err != nil {
				return c, fmt.Errorf("read change: %w", err)
			}
			return c, nil
		case string(field) == "data" && name == "end":
			return fleet.HostChange{}, readEnd(value)
		}
	}
	err := w.lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fleet.HostChange{}, fmt.Errorf("watch of %s was cut off: %w", w.addr, err)
}

func readEnd(data []byte) error {
	var end problem
	if err := json.Unmarshal(data, &end); err != nil {
		return fmt.Errorf("read end of watch: %w", err)
	}
	return &fleet.Error{Code: end.Code, Detail: end.Detail}
}

// Close ends the watch.
func (w *Watch) Close() error { return w.body.Close() }
