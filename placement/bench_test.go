package placement_test

import (
	"testing"

	"grapevine/fleet"
	"grapevine/placement"
)

// BenchmarkPick measures one choice among 10,000 hosts, by how many of them
// still have room.
func BenchmarkPick(b *testing.B) {
	for _, test := range []struct {
		name string
		room int // one host in so many has room
	}{{"all_fit", 1}, {"tenth_fits", 10}, {"thousandth_fits", 1000}, {"none_fits", 1 << 30}} {
		hosts := make([]fleet.Host, fleet.MaxHosts)
		for i := range hosts {
			free := freeOf(0, 512, 500)
			if (i+1)%test.room == 0 {
				free = freeOf(50, 51200, 500)
			}
			hosts[i] = newHost(i, free)
		}
		index, rng := placement.NewIndex(hosts), newRNG(1)
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				index.Pick(request(1, 1024, 10), nil, rng)
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
		index.Update(hosts[i%len(hosts)])
		i++
	}
}
