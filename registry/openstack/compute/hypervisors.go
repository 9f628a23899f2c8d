package compute

import (
	"encoding/json"
	"fmt"
	"net"

	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// types are Nova's words for hypervisors.
var types = map[fleet.Hypervisor]string{fleet.KVM: "QEMU", fleet.Xen: "xen", fleet.ESXi: "VMware vCenter Server"}

// hypervisor is a host in a list, capacities where they are a hypervisor's own.
type hypervisor struct {
	ID     int    `json:"id"` // microversions before 2.53 number them
	Name   string `json:"hypervisor_hostname"`
	State  string `json:"state"`
	Status string `json:"status"`

	*capacities
}

// capacities are what microversion 2.1 tells in detail. What is used is what the
// host has promised, all machines that run there included, foreign ones too.
type capacities struct {
	Type        string        `json:"hypervisor_type"`
	Version     int           `json:"hypervisor_version"`
	HostIP      string        `json:"host_ip"`
	VCPUs       int64         `json:"vcpus"`
	VCPUsUsed   int64         `json:"vcpus_used"`
	MemoryMB    int64         `json:"memory_mb"`
	MemoryUsed  int64         `json:"memory_mb_used"`
	FreeRAM     int64         `json:"free_ram_mb"`
	LocalGB     int64         `json:"local_gb"`
	LocalUsed   int64         `json:"local_gb_used"`
	FreeDisk    int64         `json:"free_disk_gb"`
	DiskLeast   int64         `json:"disk_available_least"`
	RunningVMs  int           `json:"running_vms"`
	Workload    int           `json:"current_workload"`
	CPUInfo     string        `json:"cpu_info"`
	ServiceSeen serviceOfHost `json:"service"`
}

type serviceOfHost struct {
	ID     int     `json:"id"`
	Host   string  `json:"host"`
	Reason *string `json:"disabled_reason"`
}

// stateOf says whether a host can be heard, and whether it is to take servers.
func stateOf(h *fleet.Host) (state, status string) {
	state, status = "up", "enabled"
	if h.Reachability != fleet.ReachOK && h.Reachability != fleet.ReachSuspect {
		state = "down"
	}
	if h.State != fleet.HostOK {
		status = "disabled"
	}
	return state, status
}

func hypervisorRow(h *fleet.Host, detail bool) hypervisor {
	out := hypervisor{ID: ids.Number(h.ID), Name: h.Name}
	out.State, out.Status = stateOf(h)
	if !detail {
		return out
	}
	ip, _, _ := net.SplitHostPort(h.API)
	cpu, _ := json.Marshal(map[string]any{"topology": map[string]any{}, "features": []string{}}) //nolint:errchkjson // constant
	used := func(a fleet.Amount) int64 { return a.Total - a.Free }
	room := &h.Capacity
	out.capacities = &capacities{
		Type: types[h.Hypervisor], Version: versionNumber(h.HypervisorVersion), HostIP: ip,
		VCPUs: room.VCPUs.Total, VCPUsUsed: used(room.VCPUs),
		MemoryMB: room.MemoryMiB.Total, MemoryUsed: used(room.MemoryMiB), FreeRAM: room.MemoryMiB.Free,
		LocalGB: room.DiskGiB.Total, LocalUsed: used(room.DiskGiB), FreeDisk: room.DiskGiB.Free, DiskLeast: room.DiskGiB.Free,
		RunningVMs: h.Instances, CPUInfo: string(cpu), ServiceSeen: serviceOfHost{ID: ids.Number(h.ID), Host: h.Name, Reason: reasonOf(h)},
	}
	return out
}

// versionNumber writes 8.2.1 as 8002001, as Nova does.
func versionNumber(text string) int {
	var a, b, c int
	_, _ = fmt.Sscanf(text, "%d.%d.%d", &a, &b, &c) // what is not there is 0
	return a*1000000 + b*1000 + c
}

func reasonOf(h *fleet.Host) *string {
	if h.State == fleet.HostOK {
		return nil
	}
	reason := string(h.State)
	if h.StateReason != "" {
		reason += ": " + h.StateReason
	}
	return &reason
}

func (n *nova) listHypervisors(c *service.Call) (service.Reply, error) {
	return listHypervisors(c, false)
}

func (n *nova) listHypervisorsInDetail(c *service.Call) (service.Reply, error) {
	return listHypervisors(c, true)
}

func listHypervisors(c *service.Call, detail bool) (service.Reply, error) {
	hosts, err := c.Core.Hosts(c.Context())
	rows := []hypervisor{}
	for i := range hosts.Items {
		rows = append(rows, hypervisorRow(&hosts.Items[i], detail))
	}
	return service.Reply{Body: map[string]any{"hypervisors": rows}}, err
}

func (n *nova) showHypervisor(c *service.Call) (service.Reply, error) {
	hosts, err := c.Core.Hosts(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	for i := range hosts.Items {
		if h := &hosts.Items[i]; fmt.Sprint(ids.Number(h.ID)) == c.Path("id") {
			return service.OK(map[string]any{"hypervisor": hypervisorRow(h, true)})
		}
	}
	return service.Reply{}, service.NotFound("Hypervisor", firstOf(c.Path("id")))
}

// showStatistics sums up what hosts that take servers have, as Nova leaves out
// services that are disabled.
func (n *nova) showStatistics(c *service.Call) (service.Reply, error) {
	hosts, err := c.Core.Hosts(c.Context())
	sum := map[string]int64{}
	for _, key := range []string{"count", "vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb", "local_gb_used", "free_disk_gb", "disk_available_least", "running_vms", "current_workload"} {
		sum[key] = 0
	}
	for i := range hosts.Items {
		if hosts.Items[i].State != fleet.HostOK {
			continue
		}
		h := hypervisorRow(&hosts.Items[i], true)
		sum["count"]++
		sum["vcpus"] += h.VCPUs
		sum["vcpus_used"] += h.VCPUsUsed
		sum["memory_mb"] += h.MemoryMB
		sum["memory_mb_used"] += h.MemoryUsed
		sum["free_ram_mb"] += h.FreeRAM
		sum["local_gb"] += h.LocalGB
		sum["local_gb_used"] += h.LocalUsed
		sum["free_disk_gb"] += h.FreeDisk
		sum["disk_available_least"] += h.DiskLeast
		sum["running_vms"] += int64(h.RunningVMs)
	}
	return service.Reply{Body: map[string]any{"hypervisor_statistics": sum}}, err
}
