package compute

import (
	"net/http"

	"grapevine/registry/openstack/service"
)

// Prefix is that of the service's paths.
const Prefix = "/compute"

// base is the prefix of all paths of the one version.
const base = "/v2.1"

// nova is the service.
type nova struct{}

// Service returns the compute service.
func Service() service.Service {
	n := &nova{}
	s := service.Service{Type: "compute", Prefix: Prefix, Fault: fault, Headers: headers, Version: version}
	add := func(method, path string, roles service.Roles, handle func(*service.Call) (service.Reply, error)) {
		s.Routes = append(s.Routes, service.Route{Method: method, Path: path, Roles: roles, Handle: handle})
	}
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	all, members, operators := service.People, service.Members, service.Operators
	add(get, "", service.Everybody, n.versions)
	add(get, base, service.Everybody, n.aboutVersion)
	add(get, base+"/extensions", all, n.listExtensions)

	add(get, base+"/servers", all, n.listServers)
	add(get, base+"/servers/detail", all, n.listServersInDetail)
	add(post, base+"/servers", members, n.createServer)
	add(get, base+"/servers/{id}", all, n.showServer)
	add(del, base+"/servers/{id}", members, n.deleteServer)
	add(post, base+"/servers/{id}/action", members, n.act)
	add(get, base+"/servers/{id}/ips", all, n.listAddresses)
	add(get, base+"/servers/{id}/metadata", all, n.listMetadata)

	add(get, base+"/flavors", all, n.listFlavors)
	add(get, base+"/flavors/detail", all, n.listFlavorsInDetail)
	add(get, base+"/flavors/{id}", all, n.showFlavor)
	add(get, base+"/flavors/{id}/os-extra_specs", all, n.listExtraSpecs)

	add(get, base+"/os-keypairs", all, n.listKeyPairs)
	add(post, base+"/os-keypairs", members, n.createKeyPair)
	add(get, base+"/os-keypairs/{name}", all, n.showKeyPair)
	add(del, base+"/os-keypairs/{name}", members, n.deleteKeyPair)

	add(get, base+"/os-availability-zone", all, n.listZones)
	add(get, base+"/os-availability-zone/detail", operators, n.listZonesInDetail)
	add(get, base+"/os-hypervisors", operators, n.listHypervisors)
	add(get, base+"/os-hypervisors/detail", operators, n.listHypervisorsInDetail)
	add(get, base+"/os-hypervisors/statistics", operators, n.showStatistics)
	add(get, base+"/os-hypervisors/{id}", operators, n.showHypervisor)
	add(get, base+"/os-services", operators, n.listServices)
	add(put, base+"/os-services/{action}", operators, n.actService)
	return s
}
