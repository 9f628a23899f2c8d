package registry

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
	"grapevine/people"
)

// BenchmarkQuota judges a create in a fleet of 1,000 hosts with 100 instances each, of
// which the project has one in ten; between two creates this many hosts change.
func BenchmarkQuota(b *testing.B) {
	path := filepath.Join(b.TempDir(), "users.toml")
	if err := os.WriteFile(path, []byte("[[projects]]\nname = \"shop\"\n[projects.quota]\ninstances = 1000000\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	u, err := openUsers(path, slog.New(slog.DiscardHandler), newMetrics())
	if err != nil {
		b.Fatal(err)
	}
	r := replica.New()
	var origins []*replica.Origin
	var rows [][]replica.OwnRow
	for h := range 1000 {
		id := fleet.UUID{byte(h), byte(h >> 8), 15: 1}
		o := replica.NewOrigin(id)
		o.Begin(1, 1)
		own := []replica.OwnRow{{Key: wire.HostKey(id), Body: wire.EncodeHost(fleet.Host{ID: id, Name: fmt.Sprint("h", h)})}}
		for i := range 100 {
			in := fleet.Instance{ID: newInstanceID(), Name: "vm", Project: fmt.Sprint("p", i%10), Ownership: fleet.Managed, VCPUs: 1, MemoryMiB: 64, DiskGiB: 1}
			if i%10 == 0 {
				in.Project = "shop"
			}
			own = append(own, replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: wire.EncodeInstance(in)})
		}
		origins, rows = append(origins, o), append(rows, own)
	}
	change := func(h int) {
		rows[h][0].Body = wire.EncodeHost(fleet.Host{ID: fleet.UUID{byte(h), byte(h >> 8), 15: 1}, Name: fmt.Sprint("h", h, newInstanceID())})
		block, _, err := origins[h].Next(rows[h])
		if err != nil {
			b.Fatal(err)
		}
		r.Install(block, time.Now())
	}
	for h := range rows {
		change(h)
	}
	q := newQuotas(u, r, func() []fleet.HostID { return nil })
	if has := q.has("shop"); has.Instances != 10_000 {
		b.Fatalf("has %+v", has)
	}
	for _, changed := range []int{0, 10, 1000} {
		b.Run(fmt.Sprint(changed), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				for h := range changed {
					change(h)
				}
				b.StartTimer()
				if err := q.judge("shop", claim{id: newInstanceID()}, people.Taken{Instances: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
