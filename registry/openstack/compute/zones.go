package compute

import (
	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

// takes reports whether a host can be heard and takes servers.
func takes(h *fleet.Host) bool {
	return h.State == fleet.HostOK && (h.Reachability == fleet.ReachOK || h.Reachability == fleet.ReachSuspect)
}

func (n *nova) listZones(c *service.Call) (service.Reply, error) { return listZones(c, false) }

func (n *nova) listZonesInDetail(c *service.Call) (service.Reply, error) { return listZones(c, true) }

// listZones shows the zones of hosts. One is available while a host in it takes
// servers.
func listZones(c *service.Call, detail bool) (service.Reply, error) {
	hosts, err := c.Core.Hosts(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	rows := []any{}
	for _, zone := range zoneNames(hosts.Items) {
		available, services := false, map[string]any{}
		for i := range hosts.Items {
			h := &hosts.Items[i]
			if zoneName(h) != zone {
				continue
			}
			available = available || takes(h)
			services[h.Name] = map[string]any{binary: map[string]any{"available": takes(h), "active": h.State == fleet.HostOK, "updated_at": h.ObservedAt.UTC().Format(usageTime)}}
		}
		row := map[string]any{"zoneName": zone, "zoneState": map[string]any{"available": available}, "hosts": nil}
		if detail {
			row["hosts"] = services
		}
		rows = append(rows, row)
	}
	return service.OK(map[string]any{"availabilityZoneInfo": rows})
}
