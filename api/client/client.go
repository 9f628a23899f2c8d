package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"grapevine/fleet"
)

// The transport's settings. A node keeps idle connections for two minutes
// (api.NewServer): we let go of them first, so that a request rarely meets a
// connection that the other side is closing.
const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	idleTimeout      = 90 * time.Second
	// maxIdle is the concurrency that one node serves without new handshakes.
	maxIdle = 32
)

// Options refine a client; all fields may be zero.
type Options struct {
	// TLS is used with https addresses. Nil trusts the system's authorities.
	TLS *tls.Config
	// Token is sent as a bearer token.
	Token string
	// Dialer connects; nil is the machine's own network.
	Dialer Dialer
	// UserAgent names the program in the node's logs.
	UserAgent string
}

// Dialer opens streams, as net.Dialer does.
type Dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client talks to one node. It may be used from several goroutines at once.
// Every method blocks until the answer is there or ctx ends; none has a
// time-out of its own.
type Client struct {
	addr      string // as given, for errors
	base      string // scheme://host, no slash at the end
	token     string
	userAgent string
	atLeast   fleet.Version
	transport *http.Transport
}

// New returns a client of the node at addr: http://host:port,
// https://host:port or unix:///path of a socket. It does not connect yet.
func New(addr string, opts Options) (*Client, error) {
	c := &Client{addr: addr, token: opts.Token, userAgent: opts.UserAgent}
	if c.userAgent == "" {
		c.userAgent = "grapevine"
	}
	base, dial, err := parseAddr(addr, opts.Dialer)
	if err != nil {
		return nil, err
	}
	c.base = base
	c.transport = &http.Transport{
		DialContext:         dial,
		DialTLSContext:      dialTLS(dial, opts.TLS),
		IdleConnTimeout:     idleTimeout,
		MaxIdleConns:        maxIdle,
		MaxIdleConnsPerHost: maxIdle,
		DisableCompression:  true,
	}
	return c, nil
}

// Addr returns the address that the client was made with.
func (c *Client) Addr() string { return c.addr }

// Close closes the idle connections. Requests under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// parseAddr returns the base of the URLs to ask for and how to connect.
func parseAddr(addr string, dialer Dialer) (string, dialFunc, error) {
	if dialer == nil {
		dialer = &net.Dialer{}
	}
	u, err := url.Parse(addr)
	if err != nil {
		return "", nil, badAddr(addr)
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || u.Path == "" {
			return "", nil, badAddr(addr)
		}
		return "http://localhost", func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}, nil
	case "http", "https":
		if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return "", nil, badAddr(addr)
		}
		return u.Scheme + "://" + u.Host, func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return dialer.DialContext(ctx, network, addr)
		}, nil
	default:
		return "", nil, badAddr(addr)
	}
}

func badAddr(addr string) error {
	return fmt.Errorf("address %.200q is not of the form http://host:port, https://host:port or unix:///path", addr)
}
