package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestHostHardwareIsAskedOfTheHostAndShownInFull(t *testing.T) {
	n := fleetNode(t)
	n.answer("GET /v1/hosts/"+id(0xa1).String()+"/hardware", http.StatusOK, fleet.Hardware{
		Host: id(0xa1),
		CPU:  fleet.CPU{Model: "AMD EPYC-Milan", Flags: []string{"aes", "avx2"}, Sockets: 2, Cores: 8, Threads: 2},
		NUMA: []fleet.NUMACell{{ID: 0, CPUs: 16, MemoryMiB: 32768}, {ID: 1, CPUs: 16, MemoryMiB: 32768}},
		Pools: []fleet.StoragePool{
			{Name: "grapevine", Type: "dir", Active: true, TotalGiB: 500, FreeGiB: 460}, {Name: "scratch", Type: "logical"},
		},
		Networks: []fleet.HostNetwork{{Name: "br0", Type: "bridge", Active: true}, {Name: "default", Type: "network"}},
		Devices: []fleet.HostDevice{
			{Kind: "gpu", Name: "NVIDIA A2", Address: "0000:41:00.0"},
			{Kind: "nic", Name: "Intel X710", Address: "0000:81:00.0", VirtualFunctions: 64},
		},
	})
	r := run(t, n.URL, "host", "hardware", "kvm-1")
	r.wants(t, 0, "", "")
	golden(t, "host-hardware.golden", r.out)
}

func TestHostHardwareThatIsNotToldIsADash(t *testing.T) {
	n := fleetNode(t)
	n.answer("GET /v1/hosts/"+id(0xa1).String()+"/hardware", http.StatusOK, fleet.Hardware{Host: id(0xa1)})
	run(t, n.URL, "host", "hardware", "kvm-1").wants(t, 0, "devices   -\n", "")
}
