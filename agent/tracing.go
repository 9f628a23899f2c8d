package agent

import (
	"context"

	"grapevine/agent/journal"
	"grapevine/internal/tracing"
)

// traceOperation begins the span of an operation: a child of the request that
// began it, although it goes on after the answer, since each operation has one
// request alone. One that is taken up after a restart begins a trace of its own.
func (a *Agent) traceOperation(ctx context.Context, op *journal.Operation) (context.Context, tracing.Span) {
	ctx, span := a.tracer.Start(ctx, "operation "+op.Verb)
	span.Text("grapevine.operation", op.ID)
	span.Text("grapevine.verb", op.Verb)
	if span.Recording() && !op.Instance.IsZero() {
		span.Text("grapevine.instance", op.Instance.String())
	}
	span.Text("grapevine.image", op.Image)
	return ctx, span
}

// written is a write of the journal, which waits for the disk.
func written(ctx context.Context, what string, write func() error) error {
	_, span := tracing.Start(ctx, "journal")
	span.Text("grapevine.step", what)
	err := write()
	span.End(err)
	return err
}

// driven is a call of the driver that changes a machine.
func driven(ctx context.Context, what string, call func(context.Context) error) error {
	ctx, span := tracing.Start(ctx, "driver")
	span.Text("grapevine.call", what)
	err := call(ctx)
	span.End(err)
	return err
}

// traced is another part of an operation.
func traced(ctx context.Context, name string, part func(context.Context) error) error {
	ctx, span := tracing.Start(ctx, name)
	err := part(ctx)
	span.End(err)
	return err
}
