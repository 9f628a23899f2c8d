package dev_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/dev"
	"grapevine/fleet"
	"grapevine/internal/tracing"
)

// run starts a fleet of so many hosts, waits until it is ready, and ends it
// with the test.
func run(t *testing.T, hosts int) *client.Client {
	t.Helper()
	return runTraced(t, hosts, tracing.Settings{})
}

// runTraced is run of a fleet whose traces go somewhere.
func runTraced(t *testing.T, hosts int, traces tracing.Settings) *client.Client {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	f, err := dev.New(t.Context(), dev.Config{Hosts: hosts, Listen: "127.0.0.1:0", Log: log, Tracing: traces})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the fleet ended with: %v", err)
		}
	})
	select {
	case <-f.Ready():
	case err := <-ended:
		ended <- nil
		t.Fatalf("the fleet ended before it was ready: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the fleet is not ready after a minute")
	}
	c, err := client.New("http://"+f.Addr(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// hanging is a collector of traces that takes what is sent and never answers.
func hanging(t *testing.T) tracing.Settings {
	t.Helper()
	hang := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() {
		close(hang)
		collector.Close()
	})
	return tracing.Settings{Endpoint: collector.URL, Ratio: 1}
}

func TestInstanceRunsOnEachHypervisor(t *testing.T) {
	c := runTraced(t, 6, hanging(t)) // which harms nobody
	for _, kind := range []fleet.Hypervisor{fleet.KVM, fleet.Xen, fleet.ESXi} {
		accepted, err := c.CreateInstance(t.Context(), fleet.Create{
			Name: "web-" + string(kind), Flavor: "nano", Image: "tiny", Hypervisor: kind,
		}, client.CreateOptions{Wait: time.Minute, Key: "web-" + string(kind)})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		row := accepted.Instance
		if row.Power != fleet.PowerRunning || row.Hypervisor != kind || row.Fault != "" {
			t.Errorf("%s: got power %q, hypervisor %q, fault %q; want it running", kind, row.Power, row.Hypervisor, row.Fault)
		}
	}
	list, err := c.Instances(t.Context(), fleet.InstanceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	managed, foreign := 0, 0
	for i := range list.Items {
		switch list.Items[i].Ownership {
		case fleet.Managed:
			managed++
		case fleet.Foreign:
			foreign++
		}
	}
	if managed != 3 || foreign != 6 || list.Coverage != (fleet.Coverage{Heard: 6, Known: 6}) {
		t.Errorf("got %d managed and %d foreign with coverage %+v; want 3, 6 and all 6 hosts", managed, foreign, list.Coverage)
	}
}
