package placement_test

import (
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

// BenchmarkNoneFits measures how fast it is said, of 10,000 hosts, that none
// fits: for want of memory, which the buckets know, of vCPUs, for which every
// host is looked at, and of an image.
func BenchmarkNoneFits(b *testing.B) {
	hosts := make([]fleet.Host, fleet.MaxHosts)
	for i := range hosts {
		hosts[i] = newHost(i, freeOf(50, 51200, 500))
		hosts[i].Images = []string{"debian"}
	}
	index, rng := placement.NewIndex(hosts), newRNG(1)
	image := request(1, 1024, 10)
	image.Image = "windows"
	for name, req := range map[string]*fleet.Request{"memory": request(1, 102400, 10), "vcpus": request(51, 1024, 10), "image": image} {
		for _, how := range []fleet.Strategy{fleet.Spread, fleet.Pack} {
			b.Run(name+"/"+string(how), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if id, ok := index.Pick(req, how, nil, rng); ok {
						b.Fatalf("picked %s", id)
					}
				}
			})
		}
	}
}

// BenchmarkPickToFetch measures the choice for an image of which few of 10,000
// hosts are holders and which all can fetch.
func BenchmarkPickToFetch(b *testing.B) {
	free := make([]fleet.Resources, fleet.MaxHosts)
	for i := range free {
		free[i] = freeOf(50, 51200, 500)
	}
	hosts, req := fetching(free...)
	index, rng := placement.NewIndex(hosts), newRNG(1)
	for name, obtain := range map[string]string{"holders": "", "all": req.Obtain} {
		b.Run(name, func(b *testing.B) {
			req.Obtain = obtain
			b.ReportAllocs()
			for b.Loop() {
				index.Pick(req, fleet.Spread, nil, rng)
			}
		})
	}
}

// BenchmarkUpdate measures one host's change.
func BenchmarkUpdate(b *testing.B) {
	hosts := make([]fleet.Host, fleet.MaxHosts)
	for i := range hosts {
		hosts[i] = newHost(i, freeOf(50, 51200, 500))
	}
	index := placement.NewIndex(hosts)
	i := 0
	for b.Loop() {
		index.Update(&hosts[i%len(hosts)])
		i++
	}
}
