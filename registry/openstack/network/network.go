// Package network is what clients read of OpenStack's Networking API v2.0. A network
// is what hosts have under one name, a libvirt network, a bridge or a port group; it
// is made and changed at the hosts. Nothing is known here of subnets, ports and
// addresses, so that those lists are empty, and nothing filters what a server sends
// or is sent: the one security group says so by letting all of it through.
package network

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"grapevine/registry/openstack/compute"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// Prefix is that of the service's paths.
const Prefix = "/network"

// neutron is the service.
type neutron struct{}

// Service returns the network service.
func Service() service.Service {
	n := &neutron{}
	s := service.Service{Type: "network", Prefix: Prefix, Fault: fault}
	get := func(path string, roles service.Roles, handle func(*service.Call) (service.Reply, error)) {
		s.Routes = append(s.Routes, service.Route{Method: http.MethodGet, Path: path, Roles: roles, Handle: handle})
	}
	get("", service.Everybody, n.versions)
	get("/v2.0", service.Everybody, n.version)
	get("/v2.0/networks", service.People, n.listNetworks)
	get("/v2.0/networks/{id}", service.People, n.showNetwork)
	get("/v2.0/security-groups", service.People, n.listSecurityGroups)
	for _, name := range []string{"subnets", "ports", "routers", "floatingips", "extensions", "security-group-rules"} {
		key := strings.ReplaceAll(name, "-", "_")
		get("/v2.0/"+name, service.People, func(*service.Call) (service.Reply, error) { return service.OK(map[string]any{key: []any{}}) })
	}
	return s
}

func fault(status int, detail string) any {
	return map[string]any{"NeutronError": map[string]any{"type": strings.ReplaceAll(http.StatusText(status), " ", ""), "message": detail, "detail": ""}}
}

func about(c *service.Call) map[string]any {
	return map[string]any{"id": "v2.0", "status": "CURRENT", "links": []any{map[string]any{"rel": "self", "href": c.Base + Prefix + "/v2.0/"}}}
}

func (n *neutron) versions(c *service.Call) (service.Reply, error) {
	return service.OK(map[string]any{"versions": []any{about(c)}})
}

// version lists the resources of the API's one version.
func (n *neutron) version(c *service.Call) (service.Reply, error) {
	rows := []any{}
	for _, name := range []string{"network", "subnet", "port"} {
		rows = append(rows, map[string]any{"name": name, "collection": name + "s", "links": []any{map[string]any{"rel": "self", "href": c.Base + Prefix + "/v2.0/" + name + "s"}}})
	}
	return service.OK(map[string]any{"resources": rows})
}

func networkRow(id, name string) map[string]any {
	return map[string]any{
		"id": id, "name": name, "status": "ACTIVE", "admin_state_up": true, "shared": true, "router:external": false, "subnets": []string{},
		"tenant_id": "", "project_id": "", "description": "", "availability_zones": []string{}, "availability_zone_hints": []string{}, "tags": []string{}, "mtu": nil, "port_security_enabled": false,
	}
}

// shows reports whether a row has what each filter wants of it: text, or the words
// of booleans. Fields only say which of a row's keys are wanted.
func shows(row map[string]any, query url.Values) bool {
	for name, wanted := range query {
		value, known := row[name]
		switch have := value.(type) {
		case string:
			if !slices.Contains(wanted, have) {
				return false
			}
		case bool:
			if !slices.ContainsFunc(wanted, func(w string) bool { return (strings.EqualFold(w, "true") || w == "1") == have }) {
				return false
			}
		default:
			if !known && !slices.Contains([]string{"fields", "limit", "marker", "sort_key", "sort_dir"}, name) {
				return false // nothing has it
			}
		}
	}
	return true
}

func (n *neutron) listNetworks(c *service.Call) (service.Reply, error) {
	names, err := compute.NetworkNames(c)
	rows := []any{}
	for _, id := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return strings.Compare(names[a], names[b]) }) {
		if row := networkRow(id, names[id]); shows(row, c.Query()) {
			rows = append(rows, row)
		}
	}
	return service.Reply{Body: map[string]any{"networks": rows}}, err
}

func (n *neutron) showNetwork(c *service.Call) (service.Reply, error) {
	names, err := compute.NetworkNames(c)
	id := c.Path("id")
	if name, ok := names[id]; ok || err != nil {
		return service.Reply{Body: map[string]any{"network": networkRow(id, name)}}, err
	}
	return service.Reply{}, service.NotFound("Network", id[:min(len(id), 64)])
}

func (n *neutron) listSecurityGroups(c *service.Call) (service.Reply, error) {
	project := c.Who.Person.Project
	row := map[string]any{
		"id": ids.Network("security-group/" + project), "name": "default", "description": "nothing is filtered", "stateful": false, "shared": false,
		"tenant_id": project, "project_id": project, "security_group_rules": []any{}, "tags": []string{},
	}
	rows := []any{}
	if shows(row, c.Query()) {
		rows = append(rows, row)
	}
	return service.OK(map[string]any{"security_groups": rows})
}
