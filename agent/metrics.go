package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"grapevine/agent/consoles"
	"grapevine/agent/journal"
	"grapevine/fleet"
)

// metrics counts what the agent promises and does.
type metrics struct {
	registry   *prometheus.Registry
	claims     prometheus.Counter
	refusals   prometheus.Counter
	operations *prometheus.CounterVec
	seconds    *prometheus.HistogramVec

	denied         prometheus.Counter
	consolesOpened *prometheus.CounterVec
	badTickets     prometheus.Counter
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
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grapevine_agent_denied_total", Help: "Requests that were refused for want of rights.",
		}),
		consolesOpened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grapevine_agent_consoles_opened_total", Help: "Consoles opened, by kind.",
		}, []string{"kind"}),
		badTickets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "grapevine_agent_console_tickets_refused_total", Help: "Tickets for consoles that were shown and not good: used, expired or made up.",
		}),
	}
	m.registry.MustRegister(m.denied, m.consolesOpened, m.badTickets, m.claims, m.refusals, m.operations, m.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) operation(op *journal.Operation, took time.Duration) {
	m.operations.WithLabelValues(op.Verb, string(op.State)).Inc()
	m.seconds.WithLabelValues(op.Verb).Observe(took.Seconds())
}

// countConsoles adds how many consoles are open.
func (m *metrics) countConsoles(sessions *consoles.Sessions) {
	for _, kind := range []fleet.ConsoleKind{fleet.SerialConsole, fleet.VNCConsole} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "grapevine_agent_consoles_open", Help: "Consoles that are open, by kind.", ConstLabels: prometheus.Labels{"kind": string(kind)},
		}, func() float64 { return float64(sessions.Count()[kind]) }))
	}
}
