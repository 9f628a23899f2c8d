package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Trust says what is believed of the trace context that a request brings.
type Trust int

const (
	// Distrusted is anybody's: it is not read at all.
	Distrusted Trust = iota
	// Known is of a caller who has shown who he is: the request begins a trace of
	// its own, sampled by this node's ratio, with a link to the caller's.
	Known
	// Node is of a node of the fleet: its trace goes on, and it has decided whether
	// the trace is sampled.
	Node
)

// propagator reads and writes traceparent (W3C Trace Context).
var propagator propagation.TraceContext

// Serve begins the span of a request that came in with these headers.
func (t *Tracer) Serve(ctx context.Context, name string, header http.Header, trust Trust) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	if trust != Distrusted {
		remote := trace.SpanContextFromContext(propagator.Extract(context.Background(), propagation.HeaderCarrier(header)))
		// What others keep in tracestate is of no use to us, and would take 16 kB of
		// each span that waits.
		remote = remote.WithTraceState(trace.TraceState{})
		switch {
		case !remote.IsValid():
		case trust == Node:
			ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
		default:
			options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: remote}))
		}
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	return ctx, Span{span}
}

// Inject tells whoever the request goes to of which trace it is; of none, there
// is no header.
func Inject(ctx context.Context, header http.Header) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		propagator.Inject(ctx, propagation.HeaderCarrier(header))
	}
}
