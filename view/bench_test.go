package view

import (
	"encoding/binary"
	"fmt"
	"testing"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// BenchmarkReads measures reads of a fleet of 1,000 hosts with 100 instances
// each.
func BenchmarkReads(b *testing.B) {
	const hosts, each = 1000, 100
	m := newFakeMesh(b)
	var some fleet.InstanceID
	for h := range hosts {
		row := host(0, fmt.Sprintf("host%d", h))
		binary.BigEndian.PutUint32(row.ID[:], uint32(h+1))
		rows := []replica.OwnRow{{Key: wire.HostKey(row.ID), Body: wire.EncodeHost(row)}}
		for n := range each {
			in := instance(0, "vm")
			binary.BigEndian.PutUint64(in.ID[:], uint64(h*each+n)*0x9E3779B97F4A7C15)
			some = in.ID
			rows = append(rows, replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: wire.EncodeInstance(in)})
		}
		origin := replica.NewOrigin(row.ID)
		origin.Begin(1, 1)
		block, _, err := origin.Next(rows)
		if err != nil {
			b.Fatal(err)
		}
		m.replica.Install(block, m.clock)
	}
	v := m.view()
	v.refresh()
	b.Run("page_of_100", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Instances(b.Context(), fleet.InstanceQuery{Limit: 100, Marker: some.String()}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("instance_by_id", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Instance(b.Context(), some); err != nil {
				b.Fatal(err)
			}
		}
	})
}
