package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"grapevine/fleet"
)

// BenchmarkListOf100Instances is the CPU of one page, from request to bytes.
func BenchmarkListOf100Instances(b *testing.B) {
	rows := make([]fleet.Instance, 100)
	for i := range rows {
		rows[i] = fleet.Instance{
			ID: fleet.UUID{byte(i)}, Name: "instance", Project: "default", Host: hostID, HostName: "alpha",
			Hypervisor: fleet.KVM, Ownership: fleet.Managed, Power: fleet.PowerRunning, Flavor: "tiny", Image: hashText,
			VCPUs: 1, MemoryMiB: 512, Addresses: []string{"192.0.2.1"}, Version: versionNow, Reachability: fleet.ReachOK,
		}
	}
	core := full()
	core.instances = func(fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
		return fleet.List[fleet.Instance]{Items: rows}, nil
	}
	handler := NewHandler(core, testOptions(core))
	req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/instances?limit=100", http.NoBody)
	req.Header.Set(roleHeader, string(AsOperator))
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(&discard{header: http.Header{}}, req)
	}
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (d *discard) WriteHeader(int)             {}
