package identity

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

func intermediate(t *testing.T, ca *CA) *CA {
	t.Helper()
	made, err := ca.NewIntermediate("registry-1", year+time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestIntermediateIssuesToNodesAndNeverToOperators(t *testing.T) {
	root := newCA(t, time.Now())
	below := intermediate(t, root)
	pair := issue(t, below, Subject{Role: Agent, ID: alpha, Name: "n"}, time.Now())
	agent, err := New(root.CertPEM(), pair, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(agent.Chain()) != 2 {
		t.Errorf("the chain has %d certificates, want leaf and intermediate", len(agent.Chain()))
	}
	registry := node(t, root, Registry, beta)
	for _, ends := range []ends{
		handshake(t, agent.ServerTLS(), registry.ClientTLS(alpha)),
		handshake(t, registry.ServerTLS(), agent.ClientTLS(beta)),
	} {
		if ends.cerr != nil || ends.serr != nil {
			t.Errorf("client %v, server %v", ends.cerr, ends.serr)
		}
	}
	if _, err := below.Issue(Subject{Role: Operator, Name: "eve"}, time.Hour, time.Now()); !errors.Is(err, errNotTheirs) {
		t.Errorf("an operator of an intermediate: %v", err)
	}
	if _, err := below.NewIntermediate("further", time.Hour, time.Now()); err == nil {
		t.Error("an intermediate made another")
	}
	// One that is forged by who has the intermediate's key is refused by others.
	forger := *below
	forger.cert = root.cert // only so that template does not refuse it
	template, err := forger.template(Subject{Role: Operator, Name: "eve"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	forged, err := sign(template, below.cert, below.key)
	if err != nil {
		t.Fatal(err)
	}
	forged.CertPEM = append(forged.CertPEM, below.CertPEM()...)
	if _, err := New(root.CertPEM(), forged, time.Now()); !errors.Is(err, errNotTheirs) {
		t.Errorf("a forged operator is loaded: %v", err)
	}
	loaded, err := tls.X509KeyPair(forged.CertPEM, forged.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	got := handshake(t, registry.ServerTLS(), &tls.Config{RootCAs: registry.current.Load().pool, ServerName: ServerName, Certificates: []tls.Certificate{loaded}, MinVersion: tls.VersionTLS13})
	if !errors.Is(got.serr, errNotTheirs) {
		t.Errorf("a forged operator is let in: %v", got.serr)
	}
}

func TestHandshakesGoByTheCertificateAndTheRootsOfTheirMoment(t *testing.T) {
	first, second := newCA(t, time.Now()), newCA(t, time.Now())
	both := append(bytes.Clone(first.CertPEM()), second.CertPEM()...)
	server, client := node(t, first, Agent, alpha), node(t, first, Registry, beta)
	listening, dialling := server.ServerTLS(), client.ClientTLS(alpha)
	replace := func(id *Identity, roots []byte, ca *CA) {
		t.Helper()
		if err := id.Replace(roots, issue(t, ca, id.Subject(), time.Now()), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	changed := server.Changed()
	works := func(when string, want bool) {
		t.Helper()
		if got := handshake(t, listening, dialling); (got.cerr == nil && got.serr == nil) != want {
			t.Errorf("%s: client %v, server %v", when, got.cerr, got.serr)
		}
	}
	works("at first", true)
	replace(server, both, first)
	replace(client, both, first)
	replace(server, both, second)
	works("one has a certificate of the new root", true)
	replace(client, both, second)
	replace(client, second.CertPEM(), second)
	works("one trusts the new root alone", true)
	replace(server, both, first)
	works("who still has the old one meets who dropped it", false)
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the change")
	}
	if err := client.Replace(both, issue(t, first, Subject{Role: Registry, ID: alpha}, time.Now()), time.Now()); !errors.Is(err, ErrWrongPeer) {
		t.Errorf("another's certificate is taken: %v", err)
	}
}

func TestRevokedCertificateIsRefusedAndANewerOneTaken(t *testing.T) {
	ca := newCA(t, time.Now())
	server, stolen := node(t, ca, Agent, alpha), node(t, ca, Agent, beta)
	server.Revoke(map[fleet.UUID]time.Time{beta: time.Now()})
	if got := handshake(t, server.ServerTLS(), stolen.ClientTLS(alpha)); !errors.Is(got.serr, ErrRevoked) {
		t.Errorf("as a client: %v", got.serr)
	}
	if got := handshake(t, stolen.ServerTLS(), server.ClientTLS(beta)); !errors.Is(got.cerr, ErrRevoked) {
		t.Errorf("as a server: %v", got.cerr)
	}
	if _, _, err := server.Verify(stolen.Chain(), time.Time{}); !errors.Is(err, ErrRevoked) {
		t.Errorf("what it signs: %v", err)
	}
	later := time.Now().Add(2 * time.Second)
	again, err := New(ca.CertPEM(), issue(t, ca, Subject{Role: Agent, ID: beta}, later), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := handshake(t, server.ServerTLS(), again.ClientTLS(alpha)); got.serr != nil || got.cerr != nil {
		t.Errorf("enrolled again: client %v, server %v", got.cerr, got.serr)
	}
}

func TestStreamsEndWithTheCertificateOrItsRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newCA(t, time.Now())
		for name, end := range map[string]func(server *Identity){
			"ended":   func(*Identity) { time.Sleep(year) },
			"revoked": func(server *Identity) { server.Revoke(map[fleet.UUID]time.Time{beta: time.Now()}) },
		} {
			server, client := node(t, ca, Agent, alpha), node(t, ca, Agent, beta)
			left, right := net.Pipe()
			dialled := tls.Client(left, client.ClientTLS(alpha))
			accepted := tls.Server(right, server.ServerTLS())
			shaken := make(chan error, 1)
			go func() { shaken <- dialled.HandshakeContext(t.Context()) }()
			if err := accepted.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			stream := server.Guard(accepted)
			if err := <-shaken; err != nil {
				t.Fatal(err)
			}
			read := make(chan error, 1)
			go func() {
				_, err := dialled.Read(make([]byte, 1))
				read <- err
			}()
			synctest.Wait()
			select {
			case err := <-read:
				t.Fatalf("%s: the stream ended early: %v", name, err)
			default:
			}
			end(server)
			if err := <-read; err == nil || !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "closed") {
				t.Errorf("%s: %v, want the stream closed", name, err)
			}
			_, _ = stream.Close(), dialled.Close()
			if len(server.guards.open) != 0 {
				t.Errorf("%s: a closed stream is still guarded", name)
			}
		}
	})
}
