package dev_test

import (
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/tracing"
	"grapevine/internal/tracing/tracetest"
)

// ofOne are the spans of the trace that begins with this name.
func ofOne(spans []tracetest.Span, first string) []tracetest.Span {
	var out []tracetest.Span
	for _, begun := range spans {
		if begun.Name != first || begun.Parent != "" {
			continue
		}
		for _, s := range spans {
			if s.Trace == begun.Trace {
				out = append(out, s)
			}
		}
	}
	return out
}

func TestCreateIsOneTraceFromTheRegistryToTheDriver(t *testing.T) {
	collector, endpoint := tracetest.Start(t)
	c := runTraced(t, 3, tracing.Settings{Endpoint: endpoint, Ratio: 1})
	accepted, err := c.CreateInstance(t.Context(), fleet.Create{
		Name: "web", Flavor: "nano", Image: "tiny", Hypervisor: fleet.KVM,
	}, client.CreateOptions{Wait: time.Minute, Key: "web"})
	if err != nil || accepted.Instance.Power != fleet.PowerRunning {
		t.Fatalf("it is %+v: %v", accepted.Instance, err)
	}
	// Agents and registry send each for itself, so that any of them may come last.
	var spans []tracetest.Span
	collector.Await(t, func(all []tracetest.Span) bool {
		spans = ofOne(all, "POST /v1/instances")
		return tracetest.Has(spans, "operation create") && tracetest.Has(spans, "POST /v1/instances") && tracetest.Has(spans, "PUT /v1/keys/{id}")
	})
	const want = `grapevine-registry: POST /v1/instances
  grapevine-registry: place instance
    grapevine-registry: ask home
      grapevine-registry: PUT
        grapevine-agent: PUT /v1/keys/{id}
    grapevine-registry: choose host
    grapevine-registry: propose
      grapevine-registry: PUT
        grapevine-agent: PUT /v1/claims/{id}
          grapevine-agent: admit
          grapevine-agent: journal
          grapevine-agent: operation create
            grapevine-agent: driver
            grapevine-agent: driver
            grapevine-agent: journal
            grapevine-agent: look
`
	if got := tracetest.Tree(spans); got != want {
		t.Errorf("the trace is\n%swant\n%s", got, want)
	}
	instance := accepted.Instance.ID.String()
	operation := tracetest.Find(t, spans, "operation create")
	for key, want := range map[string]string{"grapevine.instance": instance, "grapevine.verb": "create", "grapevine.operation": accepted.Operation} {
		if got := operation.Attributes[key]; got != want {
			t.Errorf("%s of the operation is %q, want %q", key, got, want)
		}
	}
	for _, s := range spans {
		if s.Failed {
			t.Errorf("%s failed: %s", s.Name, s.Reason)
		}
	}
	if host := tracetest.Find(t, spans, "propose").Attributes["grapevine.host"]; host != accepted.Instance.HostName {
		t.Errorf("it was proposed to %q and is at %q", host, accepted.Instance.HostName)
	}
}
