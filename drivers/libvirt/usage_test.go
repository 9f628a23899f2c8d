package libvirt

import (
	"testing"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestUsageAddsUpDisksAndCards(t *testing.T) {
	var params []golibvirt.TypedParam
	for field, value := range map[string]any{
		"cpu.time": uint64(2_500_000_000), "cpu.user": uint64(7), "balloon.rss": uint64(1024), "balloon.current": uint64(4096),
		"block.count": uint32(2), "block.0.name": "vda", "block.0.rd.bytes": uint64(100), "block.1.rd.bytes": uint64(20), "block.0.wr.bytes": uint64(5),
		"block.0.rd.reqs": uint64(9), "net.count": uint32(2), "net.0.rx.bytes": uint64(300), "net.10.rx.bytes": uint64(4), "net.0.rx.pkts": uint64(8), "net.0.tx.bytes": int64(0),
	} {
		params = append(params, golibvirt.TypedParam{Field: field, Value: golibvirt.TypedParamValue{I: value}})
	}
	want := fleet.Usage{
		CPUSeconds: new(2.5), MemoryBytes: new(int64(1 << 20)), DiskReadBytes: new(int64(120)), DiskWrittenBytes: new(int64(5)),
		NetworkReceivedBytes: new(int64(304)), NetworkSentBytes: new(int64(0)),
	}
	if diff := cmp.Diff(want, usageOf(params)); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fleet.Usage{}, usageOf(nil)); diff != "" {
		t.Errorf("usage of nothing counted (-want +got):\n%s", diff)
	}
}
