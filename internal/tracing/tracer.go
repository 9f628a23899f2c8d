package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names who makes the spans, as OpenTelemetry's instrumentation scope.
const scope = "grapevine"

// flushWithin is how long Close lets what is queued be sent.
const flushWithin = time.Second

// Service is which daemon the spans are of.
type Service struct {
	Name     string // service.name
	Instance string // service.instance.id
	Version  string // service.version
	Host     string // host.name
}

// Deps are what a tracer is given beside its settings.
type Deps struct {
	Service Service
	// Dial opens the connections to the collector; nil is the machine's network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Metrics gets counts of spans sent and dropped; nil counts for nobody.
	Metrics prometheus.Registerer
	// Log is told when the collector begins to fail and when it is back.
	Log *slog.Logger
}

// Tracer begins traces. Nil begins none. It may be used from several goroutines
// at once.
type Tracer struct {
	tracer trace.Tracer
	queue  *queue
	once   sync.Once
}

// New returns a tracer, nil where the settings say that there is to be none. It
// connects when there is something to send. Its error is one sentence.
func New(set Settings, deps Deps) (*Tracer, error) {
	if err := set.Validate(); err != nil || !set.On() {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	sender, err := newSender(set, deps.Dial)
	if err != nil {
		return nil, err
	}
	counts := newCounts()
	if deps.Metrics != nil {
		if err := counts.register(deps.Metrics); err != nil {
			return nil, fmt.Errorf("register metrics of tracing: %w", err)
		}
	}
	queue := newQueue(sender, counts, deps.Log)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(queue),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(set.Ratio))),
		sdktrace.WithResource(deps.Service.resource()),
		sdktrace.WithRawSpanLimits(limits()),
	)
	return &Tracer{tracer: provider.Tracer(scope), queue: queue}, nil
}

// limits bound one span, whatever a caller says to it.
func limits() sdktrace.SpanLimits {
	out := sdktrace.NewSpanLimits()
	out.AttributeValueLengthLimit = 256
	out.AttributeCountLimit = 32
	out.EventCountLimit = 32
	out.LinkCountLimit = 8
	return out
}

func (s *Service) resource() *resource.Resource {
	var out []attribute.KeyValue
	for _, of := range []struct{ key, value string }{
		{"service.namespace", "grapevine"},
		{"service.name", s.Name},
		{"service.instance.id", s.Instance},
		{"service.version", s.Version},
		{"host.name", s.Host},
	} {
		if of.value != "" {
			out = append(out, attribute.String(of.key, of.value))
		}
	}
	return resource.NewSchemaless(out...)
}

// Start begins a span: a child of the one in ctx, or where there is none the
// first of a new trace. It is for work that nobody asked for, or that goes on
// without its request.
func (t *Tracer) Start(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, Span{span}
}

// Close sends what is queued, for at most a second and not at all where the
// collector fails already, counts what was not sent, and ends the goroutine. Spans that end later are dropped and
// counted. It may be called again, and of nil does nothing.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	t.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
		defer cancel()
		_ = t.queue.Shutdown(ctx) // it never fails; the provider is left alone, for it would no longer say what ends
	})
}
