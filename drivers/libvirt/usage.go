package libvirt

import (
	"context"
	"fmt"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.Metered = (*Driver)(nil)

// usageStats are the groups of counts that are asked for.
const usageStats = golibvirt.DomainStatsCPUTotal | golibvirt.DomainStatsBalloon | golibvirt.DomainStatsInterface | golibvirt.DomainStatsBlock

// Usage implements drivers.Metered.
func (d *Driver) Usage(ctx context.Context) (map[fleet.InstanceID]fleet.Usage, error) {
	all, err := d.flavour.usage(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return all, nil
}

// qemuUsage is one call for all machines. One that another call holds is not
// waited for: its counts are then those that QEMU is not asked for.
func qemuUsage(ctx context.Context, d *Driver) (map[fleet.InstanceID]fleet.Usage, error) {
	all := map[fleet.InstanceID]fleet.Usage{}
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		records, err := rpc.ConnectGetAllDomainStats(nil, uint32(usageStats),
			uint32(golibvirt.ConnectGetAllDomainsStatsActive|golibvirt.ConnectGetAllDomainsStatsNowait))
		if err != nil {
			return err
		}
		for _, r := range records {
			if !isHost(r.Dom) {
				all[fleet.InstanceID(r.Dom.UUID)] = usageOf(r.Params)
			}
		}
		return nil
	})
	return all, err
}

// usageOf adds up what libvirt counts of a domain's disks and network cards:
// block.0.rd.bytes, net.1.tx.bytes.
func usageOf(params []golibvirt.TypedParam) (u fleet.Usage) {
	for _, p := range params {
		n, ok := countOf(p.Value.I)
		if !ok {
			continue
		}
		group, rest, _ := strings.Cut(p.Field, ".")
		_, what, numbered := strings.Cut(rest, ".")
		switch {
		case p.Field == "cpu.time": // ns
			u.CPUSeconds = new(float64(n) / 1e9)
		case p.Field == golibvirt.DomainStatsBalloonRss: // KiB
			u.MemoryBytes = new(n << 10)
		case !numbered:
		case group == "block" && what == "rd.bytes":
			u.DiskReadBytes = plus(u.DiskReadBytes, n)
		case group == "block" && what == "wr.bytes":
			u.DiskWrittenBytes = plus(u.DiskWrittenBytes, n)
		case group == "net" && what == "rx.bytes":
			u.NetworkReceivedBytes = plus(u.NetworkReceivedBytes, n)
		case group == "net" && what == "tx.bytes":
			u.NetworkSentBytes = plus(u.NetworkSentBytes, n)
		}
	}
	return u
}

func plus(sum *int64, n int64) *int64 {
	if sum != nil {
		n += *sum
	}
	return &n
}

func countOf(value any) (int64, bool) {
	switch v := value.(type) {
	case uint64:
		return int64(v), true
	case int64:
		return v, true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	default:
		return 0, false
	}
}
