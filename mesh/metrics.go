package mesh

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"grapevine/mesh/exchange"
)

// traffic counts the bytes of all links, those that have ended included.
type traffic struct {
	sent, received atomic.Uint64
}

// register puts the mesh's metrics on a registry, which may be nil.
func (m *Mesh) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics of the mesh: %w", err)
		}
	}
	return nil
}

func (m *Mesh) collectors() []prometheus.Collector {
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "grapevine_mesh_" + name, Help: help}, read)
	}
	counter := func(name, help string, read func(exchange.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "grapevine_mesh_" + name, Help: help}, func() float64 {
			m.mu.Lock()
			defer m.mu.Unlock()
			return float64(read(m.node.Stats()))
		})
	}
	return []prometheus.Collector{
		gauge("links", "Links that are up.", func() float64 {
			m.mu.Lock()
			defer m.mu.Unlock()
			return float64(m.node.LinkCount())
		}),
		gauge("hosts", "Hosts whose block is held.", func() float64 { return float64(m.replica.Len()) }),
		counter("blocks_applied_total", "Deltas merged into the replica.", func(s exchange.Stats) uint64 { return s.Applied }),
		counter("blocks_stale_total", "Deltas that brought nothing newer.", func(s exchange.Stats) uint64 { return s.Stale }),
		counter("blocks_mismatched_total", "Deltas after which the whole block had to be fetched.", func(s exchange.Stats) uint64 { return s.NeedWhole }),
		counter("blocks_rejected_total", "Deltas refused because they do not match their head or pass the limits.", func(s exchange.Stats) uint64 { return s.Refused }),
		counter("blocks_unproven_total", "Of the deltas refused, those whose head is not signed by the host that they are of.", func(s exchange.Stats) uint64 { return s.Unproven }),
		counter("rows_applied_total", "Rows in merged deltas.", func(s exchange.Stats) uint64 { return s.RowsApplied }),
		counter("announcements_sent_total", "Versions announced to peers.", func(s exchange.Stats) uint64 { return s.Announced }),
		counter("announcements_received_total", "Versions that peers announced.", func(s exchange.Stats) uint64 { return s.Heard }),
		counter("wants_sent_total", "Hosts asked of peers.", func(s exchange.Stats) uint64 { return s.Wanted }),
		counter("wants_timed_out_total", "Wants that a peer did not answer in time.", func(s exchange.Stats) uint64 { return s.Timeouts }),
		counter("answers_sent_total", "Deltas sent to peers.", func(s exchange.Stats) uint64 { return s.Answered }),
		counter("pushes_sent_total", "Deltas of the own host sent to peers unasked, among the answers.", func(s exchange.Stats) uint64 { return s.Pushed }),
		counter("root_mismatches_total", "Comparisons of roots that found a difference.", func(s exchange.Stats) uint64 { return s.RootsDiffer }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "grapevine_mesh_sent_bytes_total", Help: "Bytes written to links, before TLS."},
			func() float64 { return float64(m.traffic.sent.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "grapevine_mesh_received_bytes_total", Help: "Bytes read from links, before TLS."},
			func() float64 { return float64(m.traffic.received.Load()) }),
	}
}
