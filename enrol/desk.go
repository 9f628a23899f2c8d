package enrol

import (
	"cmp"
	"context"
	"encoding/base64"
	"log/slog"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// Config is what a desk works with.
type Config struct {
	// Credentials are the node's own; without a CA the desk refuses everything.
	identity.Credentials
	// Life is how long certificates are good; 0 means fleet.CertificateLife.
	Life time.Duration
	// Save makes the tokens durable, all at once; nil forgets them with the
	// process. Held are those that were saved.
	Save func([]Held) error
	Held []Held
	// Taken reports whether a host of this id is known: nobody becomes it but by
	// a token that names it.
	Taken func(fleet.HostID) bool
	// RevokedAt is when the certificates of an id were revoked; zero for never.
	RevokedAt func(fleet.UUID) time.Time
	// GossipKeys are those in use now, the first to encrypt with; nil for the
	// configured ones. Members are addresses to join through.
	GossipKeys func() [][]byte
	Members    func() []string
	Log        *slog.Logger
}

// Desk makes and takes join tokens at one node.
type Desk struct {
	cfg Config
	// turn is taken by who reads or changes held: saving may wait.
	turn chan struct{}
	held map[string]Held
}

// New returns a desk that holds what was saved.
func New(cfg Config) *Desk {
	d := &Desk{cfg: cfg, turn: make(chan struct{}, 1), held: map[string]Held{}}
	for _, h := range cfg.Held {
		d.held[h.ID] = h
	}
	return d
}

// Open reports whether the node holds a CA, and lets hosts in.
func (d *Desk) Open() bool { return d.cfg.CA != nil }

// issuing is the CA with the certificate that it has by now.
func (d *Desk) issuing() *identity.CA { return d.cfg.Identity.Issuing(d.cfg.CA) }

func refused(code fleet.Code, detail string) error { return &fleet.Error{Code: code, Detail: detail} }

var errClosed = refused(fleet.CodeNoCA, "this node holds no CA, so it lets nobody in; ask one that does (grapevine mesh members shows which), or give it one: grapevine tls intermediate, and the keys ca_cert_file and ca_key_file")

// take waits for the turn, in which expired tokens are dropped.
func (d *Desk) take(ctx context.Context) (done func(), err error) {
	if !d.Open() {
		return nil, errClosed
	}
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := time.Now()
	for id, h := range d.held {
		if !now.Before(h.ExpiresAt) {
			delete(d.held, id)
		}
	}
	return func() { <-d.turn }, nil
}

// save makes what is held durable.
func (d *Desk) save() error {
	if d.cfg.Save == nil {
		return nil
	}
	held := make([]Held, 0, len(d.held))
	for _, h := range d.held {
		held = append(held, h)
	}
	return d.cfg.Save(held)
}

// CreateJoinToken makes a token and keeps its hash.
func (d *Desk) CreateJoinToken(ctx context.Context, ask fleet.MakeJoinToken, by string) (fleet.JoinToken, error) {
	done, err := d.take(ctx)
	if err != nil {
		return fleet.JoinToken{}, err
	}
	defer done()
	if len(d.held) >= fleet.MaxJoinTokens {
		return fleet.JoinToken{}, refused(fleet.CodeTooMany, "this node keeps as many join tokens as it may; revoke some: grapevine token list")
	}
	token := newToken(d.cfg.Identity.RootHash())
	row := fleet.JoinTokenRow{
		ID: token.ID, Role: ask.Role, HostID: ask.HostID, By: by,
		ExpiresAt: time.Now().UTC().Add(time.Duration(ask.TTLSeconds) * time.Second).Truncate(time.Second),
	}
	d.held[token.ID] = Held{JoinTokenRow: row, Hash: hashOf(token.secret[:])}
	if err := d.save(); err != nil {
		delete(d.held, token.ID)
		return fleet.JoinToken{}, err
	}
	d.cfg.Log.Info("join token made", "token", token.ID, "role", string(row.Role), "for_host", row.HostID.String(), "by", by, "expires_at", row.ExpiresAt)
	return fleet.JoinToken{JoinTokenRow: row, Token: token.Text()}, nil
}

// JoinTokens lists those that can still be used, the first to expire first.
func (d *Desk) JoinTokens(ctx context.Context) ([]fleet.JoinTokenRow, error) {
	done, err := d.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rows := make([]fleet.JoinTokenRow, 0, len(d.held))
	for _, h := range d.held {
		rows = append(rows, h.JoinTokenRow)
	}
	slices.SortFunc(rows, func(a, b fleet.JoinTokenRow) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.ID, b.ID))
	})
	return rows, nil
}

// DropJoinToken revokes a token.
func (d *Desk) DropJoinToken(ctx context.Context, id, by string) (fleet.JoinTokenRow, error) {
	done, err := d.take(ctx)
	if err != nil {
		return fleet.JoinTokenRow{}, err
	}
	defer done()
	h, ok := d.held[id]
	if !ok {
		return fleet.JoinTokenRow{}, refused(fleet.CodeNotFound, "no join token of this id is kept here: it was used, has expired, was revoked, or was made at another node")
	}
	delete(d.held, id)
	if err := d.save(); err != nil {
		d.held[id] = h
		return fleet.JoinTokenRow{}, err
	}
	d.cfg.Log.Info("join token revoked", "token", id, "by", by)
	return h.JoinTokenRow, nil
}

// Trust is what a stranger may see.
func (d *Desk) Trust() fleet.Trust {
	return fleet.Trust{Fleet: d.cfg.Identity.Subject().Fleet, CA: string(d.cfg.Identity.RootsPEM())}
}

func (d *Desk) gossipKeys() []string {
	keys := append([][]byte{d.cfg.GossipKey}, d.cfg.FurtherGossipKeys...)
	if d.cfg.GossipKeys != nil {
		if inUse := d.cfg.GossipKeys(); len(inUse) > 0 {
			keys = inUse
		}
	}
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = base64.StdEncoding.EncodeToString(key)
	}
	return texts
}
