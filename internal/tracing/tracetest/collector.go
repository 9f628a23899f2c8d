// Package tracetest is an OpenTelemetry collector for tests: it takes traces by
// OTLP over HTTP, decodes them, and tells what they say.
package tracetest

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it came.
type Span struct {
	Service, Instance string
	Name, Kind        string
	Trace, ID, Parent string
	Attributes        map[string]string
	Links             []string // the traces that it leads to
	Failed            bool
	Reason            string
}

// Collector keeps all spans that come. It may be used from several goroutines at
// once.
type Collector struct {
	mu    sync.Mutex
	spans []Span        // guarded by mu
	fault error         // guarded by mu; why something that came could not be read
	came  chan struct{} // guarded by mu; closed when something has come
}

// New returns a collector that serves nobody yet.
func New() *Collector { return &Collector{came: make(chan struct{})} }

// Start returns a collector and the endpoint at which it is served until the
// test ends.
func Start(tb testing.TB) (*Collector, string) {
	tb.Helper()
	c := New()
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	return c, server.URL
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	spans, err := read(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.fault = err
		w.WriteHeader(http.StatusBadRequest)
	}
	c.spans = append(c.spans, spans...)
	close(c.came)
	c.came = make(chan struct{})
}

func read(r *http.Request) ([]Span, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return nil, fmt.Errorf("%s %s of %q is not OTLP over HTTP", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var data tracepb.TracesData
	if err := proto.Unmarshal(body, &data); err != nil {
		return nil, err
	}
	var out []Span
	for _, of := range data.GetResourceSpans() {
		service := texts(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				out = append(out, spanOf(service, span))
			}
		}
	}
	return out, nil
}

func spanOf(service map[string]string, s *tracepb.Span) Span {
	out := Span{
		Service: service["service.name"], Instance: service["service.instance.id"],
		Name: s.GetName(), Kind: strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")),
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Attributes: texts(s.GetAttributes()),
		Failed:     s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR, Reason: s.GetStatus().GetMessage(),
	}
	for _, link := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(link.GetTraceId()))
	}
	return out
}

func texts(of []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range of {
		switch value := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[kv.GetKey()] = value.StringValue
		case *commonpb.AnyValue_IntValue:
			out[kv.GetKey()] = fmt.Sprint(value.IntValue)
		default:
			out[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return out
}

// Spans returns what has come so far.
func (c *Collector) Spans(tb testing.TB) []Span {
	tb.Helper()
	spans, _ := c.now(tb)
	return spans
}

func (c *Collector) now(tb testing.TB) ([]Span, <-chan struct{}) {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		tb.Fatalf("what came cannot be read: %v", c.fault)
	}
	return slices.Clone(c.spans), c.came
}

// Await waits until what has come is enough, and returns it.
func (c *Collector) Await(tb testing.TB, enough func([]Span) bool) []Span {
	tb.Helper()
	for {
		spans, more := c.now(tb)
		if enough(spans) {
			return spans
		}
		select {
		case <-more:
		case <-tb.Context().Done():
			tb.Fatalf("what came is not enough:\n%s", Tree(spans))
		}
	}
}

// Has reports whether a span of this name is among them.
func Has(spans []Span, name string) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Name == name })
}

// Find returns the span of this name, of which there must be one.
func Find(tb testing.TB, spans []Span, name string) Span {
	tb.Helper()
	var found []Span
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("there are %d spans %q in\n%s", len(found), name, Tree(spans))
	}
	return found[0]
}

// Tree writes each trace as a tree, a line for each span: its service and name,
// those of one parent in the order of their names.
func Tree(spans []Span) string {
	below := map[string][]Span{}
	known := map[string]bool{}
	for _, s := range spans {
		known[s.Trace+s.ID] = true
	}
	for _, s := range spans {
		at := s.Trace + s.Parent
		if !known[at] {
			at = "" // the first of a trace, or its parent has not come
		}
		below[at] = append(below[at], s)
	}
	var b strings.Builder
	var write func(at string, depth int)
	write = func(at string, depth int) {
		here := below[at]
		slices.SortStableFunc(here, func(x, y Span) int { return strings.Compare(x.Service+x.Name, y.Service+y.Name) })
		for _, s := range here {
			fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", depth), s.Service, s.Name)
			write(s.Trace+s.ID, depth+1)
		}
	}
	write("", 0)
	return b.String()
}
