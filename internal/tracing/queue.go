package tracing

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The queue's bounds. A span is 1 to 2 kB, so that a collector which hangs costs
// some megabytes; a create is some twenty spans.
const (
	maxQueued = 4096
	maxBatch  = 512
	// sendEvery is how long a span waits for others to be sent with.
	sendEvery = time.Second
	// sendWithin is how long the collector has for one batch, further tries
	// included. What it has not taken by then is dropped.
	sendWithin = 10 * time.Second
)

// queue is where spans end. It implements sdktrace.SpanProcessor; the library's
// own does not count what it drops.
type queue struct {
	exporter *otlptrace.Exporter
	sender   *sender
	counts   *counts
	log      *slog.Logger
	failing  atomic.Bool // the last batch was not taken; written by the goroutine alone

	spans   chan sdktrace.ReadOnlySpan
	closing chan struct{}
	ended   chan struct{}
	sending context.Context //nolint:containedctx // it is the goroutine's, which outlives all requests.
	cut     context.CancelFunc

	mu     sync.RWMutex // held for no longer than a send to spans that does not wait
	closed bool         // guarded by mu
}

func newQueue(s *sender, counts *counts, log *slog.Logger) *queue {
	q := &queue{
		exporter: otlptrace.NewUnstarted(s), sender: s, counts: counts, log: log,
		spans: make(chan sdktrace.ReadOnlySpan, maxQueued), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	q.sending, q.cut = context.WithCancel(context.Background())
	go q.run()
	return q
}

// OnStart implements sdktrace.SpanProcessor.
func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor. It never waits.
func (q *queue) OnEnd(span sdktrace.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.counts.drop(atShutdown, 1)
		return
	}
	select {
	case q.spans <- span:
	default:
		q.counts.drop(queueFull, 1)
	}
}

// ForceFlush implements sdktrace.SpanProcessor; nobody calls it.
func (q *queue) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdktrace.SpanProcessor: what is queued is sent until ctx
// ends, unless the collector fails already, and the rest is dropped.
func (q *queue) Shutdown(ctx context.Context) error {
	q.mu.Lock()
	was := q.closed
	q.closed = true
	q.mu.Unlock()
	if !was {
		close(q.closing)
	}
	if q.failing.Load() {
		q.cut() // nobody's end waits for a collector that is gone
	}
	select {
	case <-q.ended:
	case <-ctx.Done():
		q.cut()
		<-q.ended
	}
	return nil
}

// run sends batches until the queue is closed and empty.
func (q *queue) run() {
	defer close(q.ended)
	defer q.sender.close()
	defer q.cut()
	for {
		batch, more := q.gather()
		if len(batch) > 0 {
			q.send(batch)
		}
		if !more {
			return
		}
	}
}

// gather waits for a span, and then a while for others. It reports false when
// there will be none any more.
func (q *queue) gather() ([]sdktrace.ReadOnlySpan, bool) {
	var batch []sdktrace.ReadOnlySpan
	select {
	case span := <-q.spans:
		batch = append(batch, span)
	case <-q.closing:
		return q.rest(batch)
	}
	due := time.NewTimer(sendEvery)
	defer due.Stop()
	for len(batch) < maxBatch {
		select {
		case span := <-q.spans:
			batch = append(batch, span)
		case <-due.C:
			return batch, true
		case <-q.closing:
			return q.rest(batch)
		}
	}
	return batch, true
}

// rest fills a batch from what is queued. Nothing comes any more.
func (q *queue) rest(batch []sdktrace.ReadOnlySpan) ([]sdktrace.ReadOnlySpan, bool) {
	for len(batch) < maxBatch {
		select {
		case span := <-q.spans:
			batch = append(batch, span)
		default:
			return batch, false
		}
	}
	return batch, true
}

// send has the collector take a batch, and counts what became of it.
func (q *queue) send(batch []sdktrace.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(q.sending, sendWithin)
	defer cancel()
	err := q.exporter.ExportSpans(ctx, batch)
	switch {
	case err == nil:
		refused := min(q.sender.refused(), len(batch))
		q.counts.drop(refusedByCollector, refused)
		q.counts.sent.Add(float64(len(batch) - refused))
	case q.sending.Err() != nil:
		q.counts.drop(atShutdown, len(batch))
		return
	default:
		q.counts.drop(notTaken, len(batch))
	}
	q.tell(err)
}

// tell logs when the collector begins to fail, and when it is back: a line for
// each batch would be one a second.
func (q *queue) tell(err error) {
	switch failing := err != nil; {
	case failing == q.failing.Load():
		return
	case failing:
		q.log.Warn("traces are dropped until the collector takes them", "endpoint", q.sender.url, "error", err)
	default:
		q.log.Info("the collector takes traces again", "endpoint", q.sender.url)
	}
	q.failing.Store(err != nil)
}
