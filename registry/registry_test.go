package registry

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// testConfig is the default one on free ports of loopback, with a real
// identity that is handed over.
func testConfig(w *world) (Config, Deps) {
	cfg := Default()
	cfg.Listen, cfg.GossipBind = "127.0.0.1:0", "127.0.0.1:0"
	return cfg, Deps{Credentials: identity.Credentials{Identity: w.identity(identity.Registry, newInstanceID()), GossipKey: identity.NewGossipKey()}}
}

// run runs the registry until the returned function is called, which returns
// what Run did.
func run(t *testing.T, r *Registry) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func TestRegistryServesAndStops(t *testing.T) {
	w := newWorld(t, 0)
	r, err := New(testConfig(w))
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, r)
	c, err := client.New("http://"+r.Addr(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	flavors, err := c.Flavors(t.Context())
	if err != nil || len(flavors.Items) != len(fleet.BuiltinFlavors()) || flavors.Items[0].Name != "nano" {
		t.Errorf("flavors %v, %v", flavors.Items, err)
	}
	metrics, err := c.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(metrics)
	if err != nil || !strings.Contains(string(text), "go_goroutines") || !strings.Contains(string(text), "process_cpu_seconds_total") {
		t.Errorf("metrics of %d bytes lack those of the process: %v", len(text), err)
	}
	_ = metrics.Close()
	_, err = c.CreateInstance(t.Context(), fleet.Create{Name: "vm", Flavor: "nano", Image: "tiny"}, client.CreateOptions{})
	wantCode(t, err, fleet.CodeNotReady) // it has heard of nobody
	_, err = c.ActInstance(t.Context(), newInstanceID(), fleet.Stop, client.ActOptions{})
	wantCode(t, err, fleet.CodeNotReady)
	if err := c.Ready(t.Context()); fleet.CodeOf(err) != fleet.CodeNotReady {
		t.Errorf("/readyz: %v, want not_ready", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v at the end of its context, want nil", err)
	}
	if err := c.Healthy(t.Context()); err == nil {
		t.Error("it serves after Run has returned")
	}
}

func TestPortInUseIsOneClearError(t *testing.T) {
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	first, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	cfg.Listen = first.Addr()
	second, err := New(cfg, deps)
	if err == nil {
		second.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "the port is in use") {
		t.Errorf("error %v; want one that says that the port is in use", err)
	}
}

func TestOverTLSTheCertificateSaysWhoAsks(t *testing.T) {
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	cfg.ListenTLS = true
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	run(t, r)
	for _, test := range []struct {
		name string
		role identity.Role // empty: no certificate
		read fleet.Code
		act  fleet.Code
	}{
		{"operator", identity.Operator, "", fleet.CodeNotReady},
		{"registry", identity.Registry, "", fleet.CodeNotReady},
		{"agent", identity.Agent, "", fleet.CodeForbidden},
		{"nobody", "", fleet.CodeUnauthenticated, fleet.CodeUnauthenticated},
	} {
		t.Run(test.name, func(t *testing.T) {
			var settings *tls.Config
			if test.role == "" {
				settings = w.identity(identity.Operator, newInstanceID()).ClientTLS(fleet.UUID{}, "http/1.1")
				settings.GetClientCertificate = nil
			} else {
				settings = w.identity(test.role, newInstanceID()).ClientTLS(fleet.UUID{}, "http/1.1")
			}
			c, err := client.New("https://"+r.Addr(), client.Options{TLS: settings})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Hosts(t.Context()); fleet.CodeOf(err) != test.read || err != nil && test.read == "" {
				t.Errorf("read: %v, want code %q", err, test.read)
			}
			if _, err := c.ActInstance(t.Context(), newInstanceID(), fleet.Stop, client.ActOptions{}); fleet.CodeOf(err) != test.act {
				t.Errorf("mutation: %v, want code %q", err, test.act)
			}
		})
	}
}

func TestOnLoopbackEverybodyButAWebPageIsAnOperator(t *testing.T) {
	r := &Registry{}
	for _, test := range []struct {
		name, method, host string
		header             map[string]string
		want               api.PrincipalRole
	}{
		{"command line", http.MethodPost, "127.0.0.1:7948", nil, api.AsOperator},
		{"IPv6", http.MethodPost, "[::1]:7948", nil, api.AsOperator},
		{"name without port", http.MethodGet, "localhost", nil, api.AsOperator},
		{"page that has rebound its own name to loopback", http.MethodGet, "evil.example:7948", nil, api.Nobody},
		{"page that posts across origins", http.MethodPost, "127.0.0.1:7948", map[string]string{"Sec-Fetch-Site": "cross-site"}, api.Nobody},
		{"old browser's page that posts across origins", http.MethodPost, "127.0.0.1:7948", map[string]string{"Origin": "https://evil.example"}, api.Nobody},
		{"page of our own", http.MethodPost, "127.0.0.1:7948", map[string]string{"Sec-Fetch-Site": "same-origin"}, api.AsOperator},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), test.method, "/v1/instances", nil)
			req.Host = test.host
			for key, value := range test.header {
				req.Header.Set(key, value)
			}
			if got := r.principal(req).Role; got != test.want {
				t.Errorf("role %q, want %q", got, test.want)
			}
		})
	}
}
