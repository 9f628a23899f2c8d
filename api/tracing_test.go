package api

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/testlog"
	"grapevine/internal/tracing"
	"grapevine/internal/tracing/tracetest"
)

const callersTrace = "0af7651916cd43dd8448eb211c80319c"

func traceOptions(tb testing.TB, core *fakeCore, ratio float64) (Options, *tracetest.Collector) {
	tb.Helper()
	collector, endpoint := tracetest.Start(tb)
	tracer, err := tracing.New(tracing.Settings{Endpoint: endpoint, Ratio: ratio}, tracing.Deps{Service: tracing.Service{Name: "node"}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(tracer.Close)
	options := testOptions(core)
	options.Tracer = tracer
	return options, collector
}

func TestRequestIsASpanWithoutSecrets(t *testing.T) {
	core := full()
	core.instance = func(fleet.InstanceID) (fleet.Instance, error) {
		return fleet.Instance{}, errors.New("the disk is gone")
	}
	options, collector := traceOptions(t, core, 1)
	var log testlog.Log
	options.Log = options.Tracer.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	handler := NewHandler(core, options)
	id := fleet.UUID{7}.String()
	for _, r := range []request{
		{method: http.MethodGet, target: "/v1/instances/" + id, role: AsOperator, header: map[string]string{"Authorization": "Bearer very-secret"}},
		{method: http.MethodGet, target: "/v1/instances/" + id + "/console?token=very-secret"},
		{method: http.MethodPost, target: "/v1/tokens", body: `{"user":"u","password":"very-secret"}`},
		{method: http.MethodGet, target: "/v1/hosts"},
		{method: http.MethodGet, target: "/healthz"},
		{method: http.MethodGet, target: "/metrics", role: AsOperator},
		{method: http.MethodGet, target: "/v1/none", role: AsOperator},
	} {
		if r.role == Nobody {
			r.header = map[string]string{roleHeader: ""}
		}
		doWith(t, handler, r)
	}
	options.Tracer.Close()
	spans := collector.Spans(t)
	if len(spans) != 4 {
		t.Fatalf("the spans are\n%s", tracetest.Tree(spans))
	}
	failed := tracetest.Find(t, spans, "GET /v1/instances/{id}")
	for key, want := range map[string]string{
		"http.request.method": "GET", "http.route": "/v1/instances/{id}", "http.response.status_code": "500", "error.type": "500", "grapevine.role": "operator",
	} {
		if failed.Attributes[key] != want {
			t.Errorf("%s is %q, want %q", key, failed.Attributes[key], want)
		}
	}
	if !failed.Failed || failed.Kind != "server" {
		t.Errorf("the span is %+v", failed)
	}
	if refused := tracetest.Find(t, spans, "GET /v1/hosts"); refused.Failed || refused.Attributes["http.response.status_code"] != "401" {
		t.Errorf("who shows nothing is told as %+v", refused)
	}
	for _, span := range spans {
		for key, value := range span.Attributes {
			if strings.Contains(value, "very-secret") || strings.Contains(value, id) {
				t.Errorf("%s of %s says %q", key, span.Name, value)
			}
		}
		if strings.Contains(span.Name+span.Reason, "very-secret") {
			t.Errorf("a span says %+v", span)
		}
		if !strings.Contains(log.String(), "trace_id="+span.Trace) {
			t.Errorf("no line of the log has the trace of %s:\n%s", span.Name, log.String())
		}
	}
}

func TestOnlyNodesAreBelievedAboutATrace(t *testing.T) {
	for _, test := range []struct {
		role             PrincipalRole
		continued, links bool
	}{
		{AsRegistry, true, false},
		{AsAgent, true, false},
		{AsOperator, false, true},
		{AsMember, false, true},
		{Nobody, false, false},
	} {
		t.Run("role "+string(test.role), func(t *testing.T) {
			for _, ratio := range []float64{0, 1} {
				core := full()
				options, collector := traceOptions(t, core, ratio)
				doWith(t, NewHandler(core, options), request{method: http.MethodGet, target: "/v1/flavors", header: map[string]string{
					roleHeader: string(test.role), "Traceparent": "00-" + callersTrace + "-b7ad6b7169203331-01",
				}})
				options.Tracer.Close()
				spans := collector.Spans(t)
				if ratio == 0 && !test.continued {
					if len(spans) > 0 {
						t.Errorf("sampling was forced:\n%s", tracetest.Tree(spans))
					}
					continue
				}
				if len(spans) != 1 || (spans[0].Trace == callersTrace) != test.continued || (len(spans[0].Links) == 1) != test.links {
					t.Errorf("at ratio %g the spans are %+v", ratio, spans)
				}
			}
		})
	}
}

func TestClientPassesTheTraceOnAndNothingElse(t *testing.T) {
	var got []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header["Traceparent"]
		_, _ = io.WriteString(w, "{}")
	}))
	defer node.Close()
	peer, err := client.New(node.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	options, collector := traceOptions(t, full(), 1)
	if _, err := peer.Host(t.Context(), fleet.UUID{1}); err != nil || got != nil {
		t.Errorf("without a trace the header is %v, and the error %v", got, err)
	}
	ctx, work := options.Tracer.Start(t.Context(), "work")
	if _, err := peer.Host(ctx, fleet.UUID{1}); err != nil {
		t.Fatal(err)
	}
	node.Close()
	if _, err := peer.Host(ctx, fleet.UUID{2}); err == nil {
		t.Error("a node that is gone answered")
	}
	work.End(nil)
	options.Tracer.Close()
	spans := collector.Spans(t)
	if len(spans) != 3 || len(got) != 1 {
		t.Fatalf("the header is %v, the spans\n%s", got, tracetest.Tree(spans))
	}
	of, failed := tracetest.Find(t, spans, "work"), 0
	for _, s := range spans {
		if s.Name != "GET" {
			continue
		}
		if s.Parent != of.ID || s.Kind != "client" || s.Attributes["server.address"] != "127.0.0.1" || s.Attributes["server.port"] == "" {
			t.Errorf("the call is %+v", s)
		}
		if s.Failed {
			failed++
		} else if want := "00-" + s.Trace + "-" + s.ID + "-01"; got[0] != want {
			t.Errorf("the header is %v, want %s", got, want)
		}
	}
	if failed != 1 {
		t.Errorf("%d calls failed:\n%s", failed, tracetest.Tree(spans))
	}
}

// The figures of one run are compared: requests without a tracer, with one that
// samples none, and with one that sends all.
func BenchmarkTracedRequest(b *testing.B) {
	bench := func(options Options) func(*testing.B) {
		return func(b *testing.B) {
			b.Helper()
			handler := NewHandler(full(), options)
			req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/hosts", http.NoBody)
			req.Header.Set(roleHeader, string(AsOperator))
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(&discard{header: http.Header{}}, req)
			}
		}
	}
	b.Run("off", bench(testOptions(full())))
	for name, ratio := range map[string]float64{"not sampled": 0, "sent": 1} {
		options, _ := traceOptions(b, full(), ratio)
		b.Run(name, bench(options))
	}
}
