package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/identity"
)

const linkProto = "grapevine-link/1"

// start serves on loopback until the test ends, and returns the address.
func start(t *testing.T, server *http.Server, config *tls.Config) string {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.TLSConfig = config
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("server ended with %v", err)
		}
	})
	return listener.Addr().String()
}

func newIdentity(t *testing.T, ca *identity.CA, role identity.Role, id fleet.UUID) *identity.Identity {
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

func TestOnePortServesLinksAndHTTPByALPN(t *testing.T) {
	ca, err := identity.NewCA("home", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	agent, registry := fleet.UUID{0: 1}, fleet.UUID{0: 2}
	serving, calling := newIdentity(t, ca, identity.Agent, agent), newIdentity(t, ca, identity.Registry, registry)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := identity.PeerOf(*r.TLS)
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "http "+r.Proto+" "+peer.ID.String())
	})
	server := api.NewServer(handler, slog.New(slog.DiscardHandler))
	var links sync.WaitGroup
	links.Add(1)
	api.HandOver(server, linkProto, func(conn *tls.Conn) {
		defer links.Done()
		peer, err := identity.PeerOf(conn.ConnectionState())
		if err != nil || peer.ID != registry {
			t.Errorf("link from %v, %v", peer, err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(conn, "link "+line)
	})
	addr := start(t, server, serving.ServerTLS(linkProto, "http/1.1"))

	for name, protos := range map[string][]string{"no ALPN": nil, "http/1.1": {"http/1.1"}, "h2 or http/1.1": {"h2", "http/1.1"}} {
		transport := &http.Transport{TLSClientConfig: calling.ClientTLS(agent, protos...)}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
		if want := "http HTTP/1.1 " + registry.String(); string(body) != want {
			t.Errorf("%s: %q, want %q", name, body, want)
		}
	}

	dialer := tls.Dialer{Config: calling.ClientTLS(agent, linkProto)}
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "hello\n")
	answer, err := io.ReadAll(conn)
	if string(answer) != "link hello\n" || err != nil {
		t.Errorf("link answered %q, %v", answer, err)
	}
	links.Wait()
}

func TestServerLogsARefusedCertificateForPeople(t *testing.T) {
	ca, _ := identity.NewCA("home", time.Now())
	other, _ := identity.NewCA("home", time.Now())
	serving, calling := newIdentity(t, ca, identity.Agent, fleet.UUID{0: 1}), newIdentity(t, other, identity.Registry, fleet.UUID{0: 2})
	logged := &safeBuffer{lines: make(chan string, 10)}
	server := api.NewServer(http.NotFoundHandler(), slog.New(slog.NewTextHandler(logged, nil)))
	addr := start(t, server, serving.ServerTLS())
	config := calling.ClientTLS(fleet.UUID{})
	config.RootCAs = nil
	dialer := tls.Dialer{Config: config}
	if conn, err := dialer.DialContext(t.Context(), "tcp", addr); err == nil {
		_ = conn.Close()
		t.Fatal("connected to a server of another CA")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case line := <-logged.lines:
		if !strings.Contains(line, "certificate") || !strings.Contains(line, "level=INFO") {
			t.Errorf("logged %s", line)
		}
	case <-ctx.Done():
		t.Error("nothing was logged")
	}
}

// safeBuffer hands each line written to it to whoever waits.
type safeBuffer struct{ lines chan string }

func (b *safeBuffer) Write(p []byte) (int, error) {
	select {
	case b.lines <- string(bytes.TrimSpace(p)):
	default:
	}
	return len(p), nil
}
