package client_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

var (
	alpha = fleet.UUID{0: 1}
	beta  = fleet.UUID{0: 2}
)

func newCA(t *testing.T) *identity.CA {
	t.Helper()
	ca, err := identity.NewCA("home", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func node(t *testing.T, ca *identity.CA, role identity.Role, id fleet.UUID) *identity.Identity {
	t.Helper()
	pair, err := ca.Issue(identity.Subject{Role: role, ID: id, Name: "n"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	made, err := identity.New(ca.CertPEM(), pair, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// serve answers every request with an empty object over TLS.
func serve(t *testing.T, id *identity.Identity) string {
	t.Helper()
	var lc net.ListenConfig
	raw, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(tls.NewListener(raw, id.ServerTLS("http/1.1"))) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return raw.Addr().String()
}

func TestPeersReachesTheNodeWithThisIDAndNoOther(t *testing.T) {
	ca := newCA(t)
	addr := serve(t, node(t, ca, identity.Agent, alpha))
	self := node(t, ca, identity.Registry, fleet.UUID{0: 9})
	peers := client.NewPeers(func(peer fleet.UUID) *tls.Config { return self.ClientTLS(peer) }, nil)
	for _, id := range []fleet.UUID{alpha, {}} {
		c, err := peers.At(addr, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Flavors(t.Context()); err != nil {
			t.Errorf("id %q: %v", id, err)
		}
		if again, _ := peers.At(addr, id); again != c {
			t.Errorf("id %q: a second client was made", id)
		}
	}
	wrong, err := peers.At(addr, beta)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wrong.Flavors(t.Context())
	if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, identity.ErrWrongPeer) {
		t.Errorf("another node's id: %v", err)
	}
	moved, err := peers.At(serve(t, node(t, ca, identity.Agent, beta)), beta)
	if err != nil || moved == wrong {
		t.Fatalf("a node that has moved keeps its old client, %v", err)
	}
	if _, err := moved.Flavors(t.Context()); err != nil {
		t.Errorf("after the move: %v", err)
	}
	peers.Close()
	if _, err := peers.At(addr, alpha); !errors.Is(err, client.ErrPeersClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestWrongCertificatesWereSurelyNotProcessed(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	server := node(t, ca, identity.Agent, alpha)
	addr := serve(t, server)
	stranger := node(t, other, identity.Registry, beta)
	// It trusts any server, and this one does not trust it: with TLS 1.3 it
	// learns that only after it has sent its request.
	trusting := stranger.ClientTLS(fleet.UUID{})
	trusting.VerifyConnection = nil
	for name, tt := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"server of another CA": {stranger.ClientTLS(alpha), "its certificate is of another CA"},
		"client of another CA": {trusting, "it does not accept our certificate"},
	} {
		c, err := client.New("https://"+addr, client.Options{TLS: tt.config})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			_, err = c.Claim(t.Context(), fleet.Proposal{})
			if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%s: %v, want %q", name, err, tt.want)
			}
		}
		c.Close()
	}
}

func TestPlainHTTPAtATLSAddressIsNamed(t *testing.T) {
	var lc net.ListenConfig
	raw, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(raw) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	c, err := client.New("https://"+raw.Addr().String(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Hosts(t.Context())
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("got %v", err)
	}
}
