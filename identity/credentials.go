package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"grapevine/fleet"
	"grapevine/internal/rawtcp"
)

// Credentials are what makes a node a member of its fleet.
type Credentials struct {
	// Identity proves who the node is on links and to the API's clients.
	Identity *Identity
	// GossipKey encrypts what Serf sends.
	GossipKey []byte
	// FurtherGossipKeys are read with too, as during a change of keys.
	FurtherGossipKeys [][]byte
	// Files are where the identity was loaded from, and where its next
	// certificate is written; none where it was made in memory.
	Files Files
	// CA is the intermediate that the node holds; nil for none.
	CA *CA
}

// LoadCredentials reads the credentials of a node with this role. When
// fleetName is not empty the certificate must be of that fleet.
func LoadCredentials(files Files, gossipKeyFile, fleetName string, role Role, now time.Time) (Credentials, error) {
	id, err := Load(files, now, role)
	if err != nil {
		return Credentials{}, err
	}
	if own := id.subject.Fleet; fleetName != "" && fleetName != own {
		return Credentials{}, fmt.Errorf("fleet is %q and the certificate %s is of fleet %q; set fleet to that, leave it out, or use a certificate of the other fleet",
			fleetName, files.Cert, own)
	}
	keys, err := LoadGossipKeys(gossipKeyFile)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{Identity: id, GossipKey: keys[0], FurtherGossipKeys: keys[1:], Files: files}, nil
}

// Dialer opens streams, as net.Dialer does.
type Dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// Dial opens a stream through dialer to the node with id peer at addr, speaking
// the ALPN protocol proto, and blocks until both ends have proved who they are. The stream is closed when
// the peer's certificate ends or is revoked.
func (id *Identity) Dial(ctx context.Context, dialer Dialer, addr string, peer fleet.UUID, proto string) (net.Conn, error) {
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, Explain(addr, err)
	}
	conn := tls.Client(rawtcp.Wrap(raw), id.ClientTLS(peer, proto))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, Explain(addr, errors.Join(err, raw.Close()))
	}
	return id.Guard(conn), nil
}
