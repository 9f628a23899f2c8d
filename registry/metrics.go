package registry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"grapevine/fleet"
)

// metrics are a registry's own counts.
type metrics struct {
	registry  *prometheus.Registry
	creates   *prometheus.CounterVec
	proposals *prometheus.CounterVec
	logins    *prometheus.CounterVec
	usersOld  prometheus.Gauge
	differing *prometheus.GaugeVec
}

// newMetrics returns counters on a registry of their own, so that several
// registries may live in one process.
func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		creates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grapevine_registry_creates_total", Help: "Creates by outcome: accepted, or the error's code.",
		}, []string{"outcome"}),
		proposals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grapevine_registry_proposals_total", Help: "Proposals to hosts by outcome: accepted, the error's code, or unanswered.",
		}, []string{"outcome"}),
	}
	m.logins = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "grapevine_registry_logins_total", Help: "Tokens asked for by outcome: accepted, or the error's code.",
	}, []string{"outcome"})
	m.usersOld = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "grapevine_registry_users_file_refused", Help: "1 while the users file cannot be read and what it said before is gone by.",
	})
	m.differing = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "grapevine_registry_differing_registries", Help: "Registries that have had another users file, or other settings that must be the same, for more than a minute.",
	}, []string{"of"})
	m.registry.MustRegister(m.creates, m.proposals, m.logins, m.usersOld, m.differing, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) created(err error)  { m.creates.WithLabelValues(outcome(err)).Inc() }
func (m *metrics) proposed(err error) { m.proposals.WithLabelValues(outcome(err)).Inc() }

// outcome is the word for an error in metrics.
func outcome(err error) string {
	switch code := fleet.CodeOf(err); {
	case err == nil:
		return "accepted"
	case code == "":
		return "unanswered"
	default:
		return string(code)
	}
}
