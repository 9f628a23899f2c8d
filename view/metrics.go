package view

import (
	"github.com/prometheus/client_golang/prometheus"

	"grapevine/fleet"
)

// Collector returns the metrics of how this node sees the fleet, worked out at
// each scrape. The ages are gauges by percentile: what is graphed is how old the
// view is now, which a histogram that counts since the start could not say.
func (v *View) Collector() prometheus.Collector {
	return &collector{
		view: v,
		odd: prometheus.NewDesc("grapevine_audit_heads_odd_total",
			"Heads of hosts' audit logs that this node has heard and that do not go on from what it heard before: grapevine audit verify says what is wrong.", nil, nil),
		age: prometheus.NewDesc("grapevine_mesh_host_age_seconds",
			"Seconds for which this node has had no sure sign of life of a host, by percentile of the hosts (100 is the oldest): "+
				"hosts=\"heard\" are those that can be heard, whose ages stay near the beat of 30 seconds; hosts=\"known\" are all, also those that are down.",
			[]string{"hosts", "percentile"}, nil),
		hosts: prometheus.NewDesc("grapevine_mesh_hosts_by_reachability",
			"Number of hosts whose block is held, by how this node and the hints of others see their agents.", []string{"reachability"}, nil),
		members: prometheus.NewDesc("grapevine_mesh_members",
			"Number of members of the mesh, agents and registries, by what this node's failure detector says of them.", []string{"status"}, nil),
		records: prometheus.NewDesc("grapevine_records",
			"Number of facts that no host owns, decisions and delete intents, by kind and by whether they stand, are superseded or spent.", []string{"kind", "standing"}, nil),
	}
}

type collector struct {
	view                         *View
	age, hosts, members, records *prometheus.Desc
	odd                          *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.age
	ch <- c.odd
	ch <- c.hosts
	ch <- c.members
	ch <- c.records
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	heard, known := c.view.ages()
	ch <- prometheus.MustNewConstMetric(c.odd, prometheus.CounterValue, float64(c.view.oddAudits()))
	c.collectAges(ch, "heard", fleet.AgesOf(heard))
	c.collectAges(ch, "known", fleet.AgesOf(known))
	hosts, members := c.view.counts()
	for _, reach := range []fleet.Reachability{fleet.ReachOK, fleet.ReachSuspect, fleet.ReachUnreachable, fleet.ReachLeft} {
		ch <- prometheus.MustNewConstMetric(c.hosts, prometheus.GaugeValue, float64(hosts[reach]), string(reach))
	}
	for _, status := range []fleet.MemberStatus{fleet.MemberAlive, fleet.MemberLeaving, fleet.MemberLeft, fleet.MemberFailed} {
		ch <- prometheus.MustNewConstMetric(c.members, prometheus.GaugeValue, float64(members[status]), string(status))
	}
	for what, n := range c.view.countRecords() {
		ch <- prometheus.MustNewConstMetric(c.records, prometheus.GaugeValue, float64(n), string(what.kind), string(what.standing))
	}
}

// collectAges leaves the percentiles of no hosts out: there is no age to tell.
func (c *collector) collectAges(ch chan<- prometheus.Metric, hosts string, ages fleet.Ages) {
	if ages.Hosts == 0 {
		return
	}
	for _, q := range []struct {
		percentile string
		ms         int64
	}{{"50", ages.P50MS}, {"99", ages.P99MS}, {"100", ages.MaxMS}} {
		ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, float64(q.ms)/1000, hosts, q.percentile)
	}
}

// counts returns how many hosts and members there are of each kind.
func (v *View) counts() (hosts map[fleet.Reachability]int, members map[fleet.MemberStatus]int) {
	hosts, members = map[fleet.Reachability]int{}, map[fleet.MemberStatus]int{}
	v.mu.RLock()
	defer v.mu.RUnlock()
	for id, s := range v.standings {
		if !v.decided.gone[id] {
			hosts[s.reach]++
		}
	}
	for _, m := range v.since {
		members[m.status]++
	}
	return hosts, members
}
