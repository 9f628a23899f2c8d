package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"grapevine/agent/journal"
)

// metrics counts what the agent promises and does.
type metrics struct {
	registry   *prometheus.Registry
	claims     prometheus.Counter
	refusals   prometheus.Counter
	operations *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

// newMetrics returns counters on a registry of their own, so that several
// agents may live in one process.
func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		claims: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grapevine_agent_claims_total", Help: "Proposals that this host has admitted.",
		}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grapevine_agent_refusals_total", Help: "Proposals that this host has refused for good.",
		}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grapevine_agent_operations_total", Help: "Operations ended, by verb and state.",
		}, []string{"verb", "state"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grapevine_agent_operation_seconds", Help: "Time from an operation's start to its end.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}, []string{"verb"}),
	}
	m.registry.MustRegister(m.claims, m.refusals, m.operations, m.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) operation(op *journal.Operation, took time.Duration) {
	m.operations.WithLabelValues(op.Verb, string(op.State)).Inc()
	m.seconds.WithLabelValues(op.Verb).Observe(took.Seconds())
}
