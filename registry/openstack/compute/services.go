package compute

import (
	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// binary is the name of the one service that there is: a host's agent does what
// nova-compute does. There is no scheduler and no conductor to be listed.
const binary = "nova-compute"

func serviceRow(h *fleet.Host) map[string]any {
	state, status := stateOf(h)
	return map[string]any{
		"id": ids.Number(h.ID), "binary": binary, "host": h.Name, "zone": zoneName(h), "state": state, "status": status,
		"updated_at": h.ObservedAt.UTC().Format(usageTime), "disabled_reason": reasonOf(h),
	}
}

func (n *nova) listServices(c *service.Call) (service.Reply, error) {
	hosts, err := c.Core.Hosts(c.Context())
	host, wanted := c.Query().Get("host"), c.Query().Get("binary")
	rows := []any{}
	for i := range hosts.Items {
		h := &hosts.Items[i]
		if (host == "" || host == h.Name) && (wanted == "" || wanted == binary) {
			rows = append(rows, serviceRow(h))
		}
	}
	return service.Reply{Body: map[string]any{"services": rows}}, err
}

// serviceActions are what may be done to a service: to disable one is to cordon its
// host.
var serviceActions = map[string]fleet.HostAction{"enable": fleet.Uncordon, "disable": fleet.Cordon}

func (n *nova) actService(c *service.Call) (service.Reply, error) {
	name := c.Path("action")
	action, ok := serviceActions[name]
	if !ok {
		return service.Reply{}, service.NotFound("Action", firstOf(name))
	}
	var body struct{ Host, Binary string }
	if err := c.Body(&body); err != nil {
		return service.Reply{}, err
	}
	hosts, err := c.Core.Hosts(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	for i := range hosts.Items {
		h := &hosts.Items[i]
		if h.Name != body.Host || body.Binary != binary {
			continue
		}
		done, err := c.Core.ActHost(c.Context(), h.ID, action)
		if err != nil {
			return service.Reply{}, err
		}
		_, status := stateOf(&done)
		seen(c, done.Version)
		return service.OK(map[string]any{"service": map[string]any{"host": h.Name, "binary": binary, "status": status}})
	}
	return service.Reply{}, service.NotFound("Service "+binary+" on host", firstOf(body.Host))
}
