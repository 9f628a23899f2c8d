package tracing

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a span was dropped.
const (
	queueFull          = "queue_full"
	notTaken           = "not_taken"
	refusedByCollector = "refused"
	atShutdown         = "shutdown"
)

// counts are what became of the spans that ended.
type counts struct {
	sent    prometheus.Counter
	dropped *prometheus.CounterVec
}

func newCounts() *counts {
	c := &counts{
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grapevine_tracing_spans_sent_total", Help: "Spans that the collector has taken.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grapevine_tracing_spans_dropped_total",
			Help: "Spans that were dropped: queue_full, not_taken by the collector in time, refused by it, or at shutdown.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{queueFull, notTaken, refusedByCollector, atShutdown} {
		c.dropped.WithLabelValues(reason) // so that the series are there before anything is lost
	}
	return c
}

func (c *counts) register(with prometheus.Registerer) error {
	return errors.Join(with.Register(c.sent), with.Register(c.dropped))
}

func (c *counts) drop(reason string, spans int) {
	if spans > 0 {
		c.dropped.WithLabelValues(reason).Add(float64(spans))
	}
}
