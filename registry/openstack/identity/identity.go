package identity

import (
	"net/http"

	"grapevine/registry/openstack/service"
)

// Prefix is that of the service's paths.
const Prefix = "/identity"

// Endpoint is a service in the catalogue.
type Endpoint struct{ Type, Name, Path string }

// keystone is the service with what it says of the others.
type keystone struct {
	region    string
	endpoints []Endpoint
}

// Service returns the identity service, whose catalogue has these endpoints of a
// region.
func Service(region string, endpoints []Endpoint) service.Service {
	k := &keystone{region, endpoints}
	get, post := http.MethodGet, http.MethodPost
	return service.Service{
		Type: "identity", Prefix: Prefix, Fault: fault,
		Headers: func(h http.Header, _ service.Microversion, _ string) { h.Set("Vary", "X-Auth-Token") },
		Routes: []service.Route{
			{Method: get, Path: "", Roles: service.Everybody, Handle: k.versions},
			{Method: get, Path: "/v3", Roles: service.Everybody, Handle: k.version},
			{Method: post, Path: "/v3/auth/tokens", Roles: service.Everybody, Handle: k.issue},
			{Method: get, Path: "/v3/auth/tokens", Roles: service.People, Handle: k.showToken},
			{Method: http.MethodDelete, Path: "/v3/auth/tokens", Roles: service.People, Handle: k.revoke},
			{Method: get, Path: "/v3/auth/catalog", Roles: service.People, Handle: k.showCatalog},
			{Method: get, Path: "/v3/auth/projects", Roles: service.People, Handle: k.listProjects},
			{Method: get, Path: "/v3/projects", Roles: service.People, Handle: k.listProjects},
			{Method: get, Path: "/v3/projects/{id}", Roles: service.People, Handle: k.showProject},
			{Method: get, Path: "/v3/users", Roles: service.People, Handle: k.listUsers},
			{Method: get, Path: "/v3/users/{id}", Roles: service.People, Handle: k.showUser},
			{Method: get, Path: "/v3/users/{id}/projects", Roles: service.People, Handle: k.listUserProjects},
			{Method: get, Path: "/v3/domains", Roles: service.People, Handle: k.listDomains},
			{Method: get, Path: "/v3/domains/{id}", Roles: service.People, Handle: k.showDomain},
			{Method: get, Path: "/v3/regions", Roles: service.People, Handle: k.listRegions},
			{Method: get, Path: "/v3/services", Roles: service.Operators, Handle: k.listServices},
			{Method: get, Path: "/v3/endpoints", Roles: service.Operators, Handle: k.listEndpoints},
		},
	}
}

// fault is the body of an error of Keystone's.
func fault(status int, detail string) any {
	return map[string]any{"error": map[string]any{"code": status, "title": http.StatusText(status), "message": detail}}
}
