package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxReason bounds what a span repeats of an error. The log has all of it.
const maxReason = 256

// Span is a part of the work. The zero Span is of no trace and ignores all that
// is said to it.
type Span struct{ span trace.Span }

// Start begins a span below the one in ctx. Where that is of no trace, or of one
// that is not sent, ctx comes back as it was, with the zero Span.
func Start(ctx context.Context, name string) (context.Context, Span) {
	return start(ctx, name, trace.SpanKindInternal)
}

// StartCall is Start of a request to another process.
func StartCall(ctx context.Context, name string) (context.Context, Span) {
	return start(ctx, name, trace.SpanKindClient)
}

func start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsSampled() {
		return ctx, Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Current returns the span of ctx, for those who have more to say about it than
// who began it.
func Current(ctx context.Context) Span {
	if span := trace.SpanFromContext(ctx); span.SpanContext().IsSampled() {
		return Span{span}
	}
	return Span{}
}

// Joined returns to with the span of from: what is started below it is of the
// same trace, and ends when to does.
func Joined(to, from context.Context) context.Context {
	span := trace.SpanFromContext(from)
	if !span.SpanContext().IsValid() {
		return to
	}
	return trace.ContextWithSpan(to, span)
}

// ID returns the id of the trace of ctx, empty for none. It is there also of a
// trace that is not sent: it is the same at every node that does a part.
func ID(ctx context.Context) string {
	if of := trace.SpanContextFromContext(ctx); of.HasTraceID() {
		return of.TraceID().String()
	}
	return ""
}

// Recording reports whether what is said to the span is sent, for those to whom
// it costs something to say it.
func (s Span) Recording() bool { return s.span != nil && s.span.IsRecording() }

// Text notes something about the span; an empty text is left out.
func (s Span) Text(key, value string) {
	if value != "" && s.Recording() {
		s.span.SetAttributes(attribute.String(key, valid(value)))
	}
}

// Number notes a number about the span.
func (s Span) Number(key string, value int64) {
	if s.Recording() {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Fail marks the span as failed. The reason must hold no secret, as that of any
// error; of a long one the beginning is kept.
func (s Span) Fail(reason string) {
	if s.Recording() {
		s.span.SetStatus(codes.Error, cut(reason))
	}
}

// End ends the span, as failed where err is not nil.
func (s Span) End(err error) {
	if !s.Recording() {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, cut(err.Error()))
	}
	s.span.End()
}

// cut returns the first characters of a text.
func cut(text string) string {
	count := 0
	for at := range text {
		if count == maxReason {
			return valid(text[:at])
		}
		count++
	}
	return valid(text)
}

// valid is UTF-8: one byte that is not would cost the batch that it is sent in.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
