package identity

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// node makes an identity that is valid now.
func node(t *testing.T, ca *CA, role Role, id fleet.UUID) *Identity {
	t.Helper()
	made, err := New(ca.CertPEM(), issue(t, ca, Subject{Role: role, ID: id, Name: "n"}, time.Now()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// ends is what came of a handshake at either end. The client's error is that
// of the handshake or of the first read.
type ends struct {
	client, server tls.ConnectionState
	cerr, serr     error
}

// handshake connects two ends over loopback; the server then sends one byte.
func handshake(t *testing.T, server, client *tls.Config) ends {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	var out ends
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := listener.Accept()
		if err != nil {
			out.serr = err
			return
		}
		conn := tls.Server(raw, server)
		defer func() { _ = conn.Close() }()
		if out.serr = conn.HandshakeContext(t.Context()); out.serr == nil {
			out.server = conn.ConnectionState()
			_, out.serr = conn.Write([]byte{1})
		}
	}()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	raw, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, client)
	if out.cerr = conn.HandshakeContext(t.Context()); out.cerr == nil {
		out.client = conn.ConnectionState()
		_, out.cerr = io.ReadFull(conn, make([]byte, 1))
	}
	_ = conn.Close()
	<-done
	return out
}

func TestEachEndKnowsTheOther(t *testing.T) {
	ca := newCA(t, time.Now())
	server, client := node(t, ca, Agent, alpha), node(t, ca, Registry, beta)
	got := handshake(t, server.ServerTLS("grapevine-link/1", "http/1.1"), client.ClientTLS(alpha, "grapevine-link/1"))
	if got.cerr != nil || got.serr != nil {
		t.Fatalf("client %v, server %v", got.cerr, got.serr)
	}
	for name, tt := range map[string]struct {
		state tls.ConnectionState
		want  Subject
	}{
		"client's peer": {got.client, Subject{Fleet: "home", Role: Agent, ID: alpha, Name: "n"}},
		"server's peer": {got.server, Subject{Fleet: "home", Role: Registry, ID: beta, Name: "n"}},
	} {
		peer, err := PeerOf(tt.state)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, peer); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if tt.state.Version != tls.VersionTLS13 || tt.state.NegotiatedProtocol != "grapevine-link/1" {
			t.Errorf("%s: version %x, protocol %q", name, tt.state.Version, tt.state.NegotiatedProtocol)
		}
	}
}

func TestHandshakesThatMustFail(t *testing.T) {
	ca, other := newCA(t, time.Now()), newCA(t, time.Now())
	server, client := node(t, ca, Agent, alpha), node(t, ca, Registry, beta)
	later := func(c *tls.Config) *tls.Config {
		c.Time = func() time.Time { return time.Now().Add(2 * year) }
		return c
	}
	for name, tt := range map[string]struct {
		server, client *tls.Config
		want           string // of the client, explained
	}{
		"server of another CA":  {node(t, other, Agent, alpha).ServerTLS(), client.ClientTLS(alpha), "shows a certificate of another CA"},
		"client of another CA":  {server.ServerTLS(), withRoots(node(t, other, Agent, beta), client).ClientTLS(alpha), "does not know the CA of our certificate"},
		"another id":            {server.ServerTLS(), client.ClientTLS(beta), "answered where " + beta.String() + " was expected"},
		"operator as a server":  {node(t, ca, Operator, alpha).ServerTLS(), client.ClientTLS(alpha), "not one of a Grapevine node"},
		"expired server":        {server.ServerTLS(), later(client.ClientTLS(alpha)), "not valid at this time"},
		"expired client":        {later(server.ServerTLS()), client.ClientTLS(alpha), "says that our certificate has expired"},
		"no protocol in common": {server.ServerTLS("http/1.1"), client.ClientTLS(alpha, "grapevine-link/1"), "speaks none of our protocols"},
		"an old version of TLS": {server.ServerTLS(), &tls.Config{RootCAs: client.current.Load().pool, ServerName: ServerName, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, "protocol version"},
		"not asking for a node": {server.ServerTLS(), &tls.Config{RootCAs: client.current.Load().pool, ServerName: "example.com", MinVersion: tls.VersionTLS13}, "not one of a Grapevine node"},
	} {
		t.Run(name, func(t *testing.T) {
			got := handshake(t, tt.server, tt.client)
			err := Explain("127.0.0.1", got.cerr)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant %q", err, tt.want)
			}
			if !errors.Is(err, got.cerr) {
				t.Errorf("the explanation does not wrap its cause")
			}
		})
	}
}

// withRoots trusts what another does: a client that would talk to the server,
// and that the server must refuse.
func withRoots(id, like *Identity) *Identity {
	mixed, own := &Identity{subject: id.subject}, *id.current.Load()
	own.roots, own.pool = like.current.Load().roots, like.current.Load().pool
	mixed.current.Store(&own)
	return mixed
}

func TestOneCAForTwoFleetNamesIsStillTwoFleets(t *testing.T) {
	ca := newCA(t, time.Now())
	renamed := *ca
	renamed.fleet = "away"
	server := node(t, ca, Agent, alpha)
	stranger := node(t, &renamed, Agent, beta)
	if got := handshake(t, server.ServerTLS(), stranger.ClientTLS(fleet.UUID{})); !errors.Is(got.serr, ErrWrongPeer) && !errors.Is(got.cerr, ErrWrongPeer) {
		t.Errorf("client %v, server %v, want ErrWrongPeer", got.cerr, got.serr)
	}
}

func TestClientWithoutCertificateIsNobody(t *testing.T) {
	ca := newCA(t, time.Now())
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	if err := WriteNew(caFile, ca.CertPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	client, err := TrustCA(caFile)
	if err != nil {
		t.Fatal(err)
	}
	got := handshake(t, node(t, ca, Registry, alpha).ServerTLS("http/1.1"), client)
	if got.cerr != nil || got.serr != nil {
		t.Fatalf("client %v, server %v", got.cerr, got.serr)
	}
	if _, err := PeerOf(got.server); !errors.Is(err, ErrNoSubject) {
		t.Errorf("peer: %v, want ErrNoSubject", err)
	}
}

func TestNodeCertificateHoldsAlsoForItsOtherNames(t *testing.T) {
	ca := newCA(t, time.Now())
	pair := issue(t, ca, Subject{Role: Registry, ID: alpha, Hosts: []string{"api.example.org", "192.0.2.7"}}, time.Now())
	id, err := New(ca.CertPEM(), pair, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ServerName, "localhost", "127.0.0.1", "::1", "api.example.org", "192.0.2.7"} {
		got := handshake(t, id.ServerTLS(), &tls.Config{RootCAs: id.current.Load().pool, ServerName: name, MinVersion: tls.VersionTLS13})
		if got.cerr != nil {
			t.Errorf("%s: %v", name, got.cerr)
		}
	}
}

func TestExplainLeavesOtherErrorsAlone(t *testing.T) {
	for _, err := range []error{nil, io.EOF, net.ErrClosed} {
		if got := Explain("x", err); got != err { //nolint:errorlint // the very same value is wanted.
			t.Errorf("%v became %v", err, got)
		}
	}
}
