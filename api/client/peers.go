package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"

	"grapevine/fleet"
)

// Peers keeps one client for each node, with its warm connections, for those
// who call many nodes. It may be used from several goroutines at once.
type Peers struct {
	tlsFor func(peer fleet.UUID) *tls.Config
	dialer Dialer

	mu      sync.Mutex
	clients map[string]*Client // guarded by mu; by id, or by address where no id is known
	closed  bool               // guarded by mu
}

// ErrPeersClosed is the error of At after Close.
var ErrPeersClosed = errors.New("peers are closed")

// NewPeers returns an empty cache. TlsFor gives the settings that prove a
// server to be the node with this id (identity.ClientTLS); the zero id means
// any node of the fleet. Dialer connects; nil is the way of New.
func NewPeers(tlsFor func(peer fleet.UUID) *tls.Config, dialer Dialer) *Peers {
	return &Peers{tlsFor: tlsFor, dialer: dialer, clients: map[string]*Client{}}
}

// At returns the client of the node with this id at addr, its host:port for
// HTTPS. A node that has moved gets a new client and its old one is closed.
// It does not connect.
func (p *Peers) At(addr string, id fleet.UUID) (*Client, error) {
	key := "at " + addr
	if !id.IsZero() {
		key = id.String()
	}
	url := "https://" + addr
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrPeersClosed
	}
	old := p.clients[key]
	if old != nil && old.addr == url {
		return old, nil
	}
	c, err := New(url, Options{TLS: p.tlsFor(id), Dialer: p.dialer})
	if err != nil {
		return nil, fmt.Errorf("find node %s: %w", id, err)
	}
	if old != nil {
		old.Close()
	}
	p.clients[key] = c
	return c, nil
}

// RenewCertificate has a member that holds a CA renew the caller's certificate.
func (p *Peers) RenewCertificate(ctx context.Context, at *fleet.Member, ask fleet.RenewCertificate) (fleet.Joined, error) {
	peer, err := p.At(at.API, at.ID)
	if err != nil {
		return fleet.Joined{}, err
	}
	return peer.RenewCertificate(ctx, ask)
}

// Trust has a member say what it trusts, over a connection of its own, which has
// these settings: the member may be one that is not trusted yet.
func (p *Peers) Trust(ctx context.Context, at *fleet.Member, stranger *tls.Config) (fleet.Trust, error) {
	c, err := New("https://"+at.API, Options{TLS: stranger, Dialer: p.dialer})
	if err != nil {
		return fleet.Trust{}, err
	}
	defer c.Close()
	return c.Trust(ctx)
}

// Reconnect closes the idle connections of all clients: what is asked next is
// asked over new ones, with the certificate of the moment.
func (p *Peers) Reconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		c.Close()
	}
}

// Close closes the idle connections of all clients. Requests under way go on,
// and At fails from then on.
func (p *Peers) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.clients {
		c.Close()
	}
	p.clients = nil
}
