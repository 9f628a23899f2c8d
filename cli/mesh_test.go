package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestMeshTables(t *testing.T) {
	n := newNode(t)
	n.answer("GET /v1/mesh/members", http.StatusOK, fleet.List[fleet.Member]{Items: []fleet.Member{
		{ID: id(0xa1), Name: "kvm-1", Role: fleet.RoleAgent, Status: fleet.MemberAlive, Gossip: "192.0.2.1:7946", API: "192.0.2.1:7947", Protocol: 1, Since: today, SinceMS: 3_600_000},
		{ID: id(0xd4), Name: "reg-1", Role: fleet.RoleRegistry, Status: fleet.MemberFailed, Gossip: "192.0.2.9:7949", API: "192.0.2.9:7948", Protocol: 1, Since: today, SinceMS: 45_000},
	}})
	n.answer("GET /v1/mesh/links", http.StatusOK, fleet.List[fleet.Link]{Items: []fleet.Link{
		{Peer: id(0xa1), PeerName: "kvm-1", Outbound: true, UpMS: 61_000, RTTMS: 0.42, SentBytes: 2048, ReceivedBytes: 3 << 20, Announced: 12, Wanted: 4, Redundant: 2, Dirty: 1},
	}})
	n.answer("GET /v1/mesh/digest", http.StatusOK, fleet.Digest{Root: "0123456789abcdef", Rows: []fleet.DigestRow{
		{Host: id(0xa1), HostName: "kvm-1", Version: fleet.Version{Host: id(0xa1), Epoch: 3, Seq: 99}, Incarnation: "00ff00ff00ff00ff", Rows: 5, Bytes: 1400, Hash: "aabb"},
	}})
	n.answer("GET /v1/mesh/lag", http.StatusOK, fleet.Lag{
		Heard: fleet.Ages{Hosts: 1, P50MS: 400, P99MS: 400, MaxMS: 400}, Known: fleet.Ages{Hosts: 2, P50MS: 400, P99MS: 40_000, MaxMS: 40_000}, Behind: 1,
		Rows: []fleet.LagRow{
			{Host: id(0xb2), HostName: "xen-1", AgeMS: 40_000, Reachability: fleet.ReachUnreachable, Version: fleet.Version{Host: id(0xb2), Epoch: 1, Seq: 2}, Wanted: fleet.Version{Host: id(0xb2), Epoch: 1, Seq: 5}},
			{Host: id(0xa1), HostName: "kvm-1", AgeMS: 400, Reachability: fleet.ReachOK, Version: fleet.Version{Host: id(0xa1), Epoch: 3, Seq: 99}},
		},
	})
	for _, verb := range []string{"members", "links", "digest", "lag"} {
		t.Run(verb, func(t *testing.T) {
			r := run(t, n.URL, "mesh", verb)
			r.wants(t, 0, "", "")
			golden(t, "mesh-"+verb+".golden", r.out)
		})
	}
}
