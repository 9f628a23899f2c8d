package agent

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Usage returns what a machine of this host has used.
func (l *local) Usage(ctx context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error) {
	a := (*Agent)(l)
	metered, err := a.metered()
	if err != nil {
		return fleet.InstanceUsage{}, err
	}
	if _, here := a.observer.Machine(id); !here {
		return fleet.InstanceUsage{}, a.machineError("read usage", id, drivers.ErrNotFound)
	}
	all, err := metered.Usage(ctx)
	if err != nil {
		return fleet.InstanceUsage{}, driverError("read usage", err)
	}
	return fleet.InstanceUsage{Instance: id, Usage: all[id]}, nil
}

// metered is the driver with its counts, or why there are none here.
func (a *Agent) metered() (drivers.Metered, error) {
	return able[drivers.Metered](a, drivers.FeatureUsage, "does not count what machines use")
}

// usageCollector shows at each scrape what the machines of this host, managed
// and foreign, have used. There are as many series as the host has machines
// that are on, times the counts of a usage.
type usageCollector struct{ agent *Agent }

var _ prometheus.Collector = usageCollector{}

// scrapeWithin bounds one reading: what is asked at a scrape must not hold up
// the rest of what is scraped.
const scrapeWithin = 5 * time.Second

// usageMetric is one count of a usage; of returns false where the hypervisor
// does not count it.
type usageMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*fleet.Usage) (float64, bool)
}

var usageMetrics = []usageMetric{
	counted("cpu_seconds_total", "Time of the host's processors since the machine was switched on.", prometheus.CounterValue,
		func(u *fleet.Usage) *float64 { return u.CPUSeconds }),
	counted("cpu_hertz", "What the machine takes of the host's processors now, where that is told.", prometheus.GaugeValue,
		func(u *fleet.Usage) *int64 { return u.CPUHertz }),
	counted("memory_bytes", "Memory of the host that the machine takes.", prometheus.GaugeValue,
		func(u *fleet.Usage) *int64 { return u.MemoryBytes }),
	counted("disk_read_bytes_total", "Read from the machine's disks since it was switched on.", prometheus.CounterValue,
		func(u *fleet.Usage) *int64 { return u.DiskReadBytes }),
	counted("disk_written_bytes_total", "Written to the machine's disks since it was switched on.", prometheus.CounterValue,
		func(u *fleet.Usage) *int64 { return u.DiskWrittenBytes }),
	counted("network_receive_bytes_total", "Received by the machine's network cards since it was switched on.", prometheus.CounterValue,
		func(u *fleet.Usage) *int64 { return u.NetworkReceivedBytes }),
	counted("network_transmit_bytes_total", "Sent by the machine's network cards since it was switched on.", prometheus.CounterValue,
		func(u *fleet.Usage) *int64 { return u.NetworkSentBytes }),
}

func counted[N int64 | float64](name, help string, kind prometheus.ValueType, of func(*fleet.Usage) *N) usageMetric {
	return usageMetric{
		desc: prometheus.NewDesc("grapevine_instance_"+name, help, []string{"instance", "project"}, nil),
		kind: kind,
		of: func(u *fleet.Usage) (float64, bool) {
			if n := of(u); n != nil {
				return float64(*n), true
			}
			return 0, false
		},
	}
}

// Describe implements prometheus.Collector.
func (c usageCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range usageMetrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector. While the hypervisor does not answer
// there are no series: a count that stands still would say that nothing is used.
func (c usageCollector) Collect(out chan<- prometheus.Metric) {
	metered, err := c.agent.metered()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.agent.running, scrapeWithin)
	defer cancel()
	all, err := metered.Usage(ctx)
	if err != nil {
		c.agent.log.Info("usage not read for a scrape", "error", err)
		return
	}
	for id, used := range all {
		seen, here := c.agent.observer.Machine(id)
		if !here {
			continue
		}
		project := "" // a foreign machine is in none
		if seen.Mark != nil {
			project = seen.Mark.Project
		}
		for _, m := range usageMetrics {
			if n, ok := m.of(&used); ok {
				out <- prometheus.MustNewConstMetric(m.desc, m.kind, n, id.String(), project)
			}
		}
	}
}
