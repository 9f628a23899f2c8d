package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"grapevine/internal/tracing/tracetest"
)

const (
	remoteTrace = "0af7651916cd43dd8448eb211c80319c"
	remoteSpan  = "b7ad6b7169203331"
)

// tracerTo returns a tracer of all requests, or of a part.
func tracerTo(tb testing.TB, endpoint string, ratio float64) *Tracer {
	tb.Helper()
	tracer, err := New(Settings{Endpoint: endpoint, Ratio: ratio}, Deps{Service: Service{Name: "test", Instance: "one"}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(tracer.Close)
	return tracer
}

func traceparent(flags string) http.Header {
	return http.Header{"Traceparent": {"00-" + remoteTrace + "-" + remoteSpan + "-" + flags}}
}

func TestSpansArriveAsOneTree(t *testing.T) {
	collector, endpoint := tracetest.Start(t)
	tracer := tracerTo(t, endpoint, 1)
	ctx, request := tracer.Serve(t.Context(), "POST /v1/things", http.Header{}, Distrusted)
	within, part := Start(ctx, "part")
	part.Text("thing", "a\xffb")
	part.Number("count", 3)
	_, call := StartCall(within, "POST")
	call.End(errors.New(strings.Repeat("é", 1000)))
	part.End(nil)
	request.End(nil)
	part.End(nil) // a second end is none
	later, work := tracer.Start(Joined(context.Background(), ctx), "work after the answer")
	_, step := Start(later, "step")
	step.End(nil)
	work.End(nil)
	tracer.Close()
	spans := collector.Spans(t)
	want := "test: POST /v1/things\n" +
		"  test: part\n" +
		"    test: POST\n" +
		"  test: work after the answer\n" +
		"    test: step\n"
	if got := tracetest.Tree(spans); got != want {
		t.Errorf("the tree is\n%swant\n%s", got, want)
	}
	found := tracetest.Find(t, spans, "part")
	if found.Attributes["thing"] != "a\uFFFDb" || found.Attributes["count"] != "3" || found.Instance != "one" {
		t.Errorf("the part is %+v", found)
	}
	failed := tracetest.Find(t, spans, "POST")
	if !failed.Failed || failed.Reason != strings.Repeat("é", maxReason) || failed.Kind != "client" {
		t.Errorf("the call is %+v", failed)
	}
}

func TestWhoIsBelievedAboutATrace(t *testing.T) {
	for name, test := range map[string]struct {
		trust           Trust
		header          http.Header
		ratio           float64
		sent            bool
		continues, link bool
	}{
		"a node goes on":                        {trust: Node, header: traceparent("01"), ratio: 0, sent: true, continues: true},
		"a node has decided against":            {trust: Node, header: traceparent("00"), ratio: 1, sent: false},
		"a node without a trace":                {trust: Node, header: http.Header{}, ratio: 1, sent: true},
		"a node that writes nonsense":           {trust: Node, header: http.Header{"Traceparent": {"00-zz-1-01"}}, ratio: 1, sent: true},
		"a known caller is linked":              {trust: Known, header: traceparent("01"), ratio: 1, sent: true, link: true},
		"a known caller does not force":         {trust: Known, header: traceparent("01"), ratio: 0, sent: false},
		"a known caller does not keep it away":  {trust: Known, header: traceparent("00"), ratio: 1, sent: true, link: true},
		"anybody does not force":                {trust: Distrusted, header: traceparent("01"), ratio: 0, sent: false},
		"anybody does not keep it away, either": {trust: Distrusted, header: traceparent("00"), ratio: 1, sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			collector, endpoint := tracetest.Start(t)
			tracer := tracerTo(t, endpoint, test.ratio)
			ctx, span := tracer.Serve(t.Context(), "GET /v1/things", test.header, test.trust)
			_, part := Start(ctx, "part")
			passedOn := http.Header{}
			Inject(ctx, passedOn)
			part.End(nil)
			span.End(nil)
			tracer.Close()
			spans := collector.Spans(t)
			if got := len(spans) == 2; got != test.sent || !test.sent && len(spans) > 0 {
				t.Fatalf("these were sent:\n%s", tracetest.Tree(spans))
			}
			flags := map[bool]string{true: "-01", false: "-00"}[test.sent]
			if header := passedOn.Get("Traceparent"); !strings.HasSuffix(header, flags) || !strings.Contains(header, ID(ctx)) {
				t.Errorf("passed on is %q of trace %s", header, ID(ctx))
			}
			if !test.sent {
				return
			}
			first := tracetest.Find(t, spans, "GET /v1/things")
			if continues := first.Trace == remoteTrace && first.Parent == remoteSpan; continues != test.continues {
				t.Errorf("the span is %+v", first)
			}
			if linked := len(first.Links) == 1 && first.Links[0] == remoteTrace; linked != test.link {
				t.Errorf("it leads to %v", first.Links)
			}
		})
	}
}

func TestWhatOthersKeepInTracestateGoesNowhere(t *testing.T) {
	for _, trust := range []Trust{Known, Node} {
		_, endpoint := tracetest.Start(t)
		header := traceparent("01")
		header.Set("Tracestate", "vendor="+strings.Repeat("x", 200))
		ctx, span := tracerTo(t, endpoint, 1).Serve(t.Context(), "GET /v1/things", header, trust)
		passedOn := http.Header{}
		Inject(ctx, passedOn)
		if got := passedOn.Get("Tracestate"); got != "" || passedOn.Get("Traceparent") == "" {
			t.Errorf("passed on is %v", passedOn)
		}
		for _, link := range span.span.(sdktrace.ReadOnlySpan).Links() {
			if link.SpanContext.TraceState().Len() > 0 {
				t.Errorf("the link has %v", link.SpanContext.TraceState())
			}
		}
		span.End(nil)
	}
}

func TestLinesOfARequestHaveItsTrace(t *testing.T) {
	_, endpoint := tracetest.Start(t)
	tracer := tracerTo(t, endpoint, 0) // also of those that are not sent
	var out bytes.Buffer
	plain := slog.New(slog.NewTextHandler(&out, nil))
	log := tracer.Logger(plain).With("host", "h1").WithGroup("of")
	ctx, _ := tracer.Serve(t.Context(), "GET /v1/things", http.Header{}, Distrusted)
	log.InfoContext(ctx, "served")
	log.InfoContext(t.Context(), "other")
	lines := strings.Split(out.String(), "\n")
	if !strings.Contains(lines[0], "trace_id="+ID(ctx)) && !strings.Contains(lines[0], "of.trace_id="+ID(ctx)) || len(ID(ctx)) != 32 {
		t.Errorf("the line is %s", lines[0])
	}
	if strings.Contains(lines[1], "trace_id") {
		t.Errorf("the line is %s", lines[1])
	}
	if (*Tracer)(nil).Logger(plain) != plain {
		t.Error("without a tracer there is another logger")
	}
}

func TestOffCostsNothing(t *testing.T) {
	tracer, err := New(DefaultSettings(), Deps{})
	if err != nil || tracer != nil {
		t.Fatalf("a tracer without an endpoint is %v, %v", tracer, err)
	}
	ctx, header := t.Context(), traceparent("01")
	out := http.Header{}
	if allocated := testing.AllocsPerRun(1000, func() {
		served, span := tracer.Serve(ctx, "GET /v1/things", header, Node)
		off(served)
		Inject(served, out)
		span.End(nil)
		_, work := tracer.Start(served, "work")
		work.End(nil)
		if served != ctx || Joined(ctx, served) != ctx || ID(served) != "" || Current(served).Recording() {
			t.Fatal("the context is another")
		}
	}); allocated != 0 {
		t.Errorf("%g allocations", allocated)
	}
	if len(out) > 0 {
		t.Errorf("sent is %v", out)
	}
	tracer.Close()
}

// off is a part of the work, told to a span.
func off(ctx context.Context) {
	within, span := Start(ctx, "part")
	span.Text("thing", "name")
	span.Number("count", 3)
	span.Fail("no")
	_, call := StartCall(within, "POST")
	call.End(nil)
	span.End(nil)
}

// The figures of one run are compared: what a part of the work costs that is not
// traced, is traced but not sampled, and is sent.
func BenchmarkPart(b *testing.B) {
	b.Run("off", func(b *testing.B) {
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			off(ctx)
		}
	})
	for name, ratio := range map[string]float64{"not sampled": 0, "sent": 1} {
		b.Run(name, func(b *testing.B) {
			_, endpoint := tracetest.Start(b)
			ctx, span := tracerTo(b, endpoint, ratio).Start(b.Context(), "request")
			defer span.End(nil)
			b.ReportAllocs()
			for b.Loop() {
				off(ctx)
			}
		})
	}
}

func TestSettingsAtFaultAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		set  Settings
		want string
	}{
		"off":             {set: DefaultSettings()},
		"on":              {set: Settings{Endpoint: "http://127.0.0.1:4318", Ratio: 0.5}},
		"with a path":     {set: Settings{Endpoint: "https://collector.example/otlp/", Ratio: 1}},
		"ratio":           {set: Settings{Ratio: 1.5}, want: "tracing_sample_ratio is 1.5; it must be from 0 to 1"},
		"no number":       {set: Settings{Ratio: nan()}, want: "tracing_sample_ratio is NaN; it must be from 0 to 1"},
		"no scheme":       {set: Settings{Endpoint: "127.0.0.1:4318"}, want: "tracing_endpoint cannot be read; it must be of the form http://host:port or https://host:port"},
		"gRPC":            {set: Settings{Endpoint: "grpc://h:4317"}, want: "tracing_endpoint cannot be read; it must be of the form http://host:port or https://host:port"},
		"password":        {set: Settings{Endpoint: "http://u:hunter2@h"}, want: "tracing_endpoint has a user, a query or a fragment; give scheme, host, port and at most a path, and let a collector on this machine log in elsewhere"},
		"path added":      {set: Settings{Endpoint: "http://h:4318/v1/traces"}, want: "tracing_endpoint ends in /v1/traces, which is added to it; leave that out"},
		"CA of nothing":   {set: Settings{CAFile: "ca.pem"}, want: "tracing_ca_file is set and tracing_endpoint is not; set both, or none"},
		"CA without TLS":  {set: Settings{Endpoint: "http://h:4318", CAFile: "ca.pem"}, want: `tracing_ca_file is set and tracing_endpoint is "http://h:4318", which has no certificate; give an https address, or leave tracing_ca_file out`},
		"control symbols": {set: Settings{Endpoint: "http://h\x00/"}, want: "tracing_endpoint cannot be read; it must be of the form http://host:port or https://host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := test.set.Validate(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
