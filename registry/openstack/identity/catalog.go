package identity

import (
	"grapevine/registry/openstack/service"
)

// interfaces are those that every endpoint is listed under: there is one address
// for all of them.
var interfaces = []string{"public", "internal", "admin"}

// catalog lists the services at the address by which the client called this one.
func (k *keystone) catalog(c *service.Call) []any {
	out := make([]any, 0, len(k.endpoints))
	for _, e := range k.endpoints {
		points := make([]any, 0, len(interfaces))
		for _, name := range interfaces {
			points = append(points, k.point(c, e, name))
		}
		out = append(out, map[string]any{"id": e.Name, "type": e.Type, "name": e.Name, "endpoints": points})
	}
	return out
}

func (k *keystone) point(c *service.Call, e Endpoint, name string) map[string]any {
	return map[string]any{"id": e.Name + "-" + name, "interface": name, "region": k.region, "region_id": k.region, "url": c.Base + e.Path}
}

func (k *keystone) showCatalog(c *service.Call) (service.Reply, error) {
	return service.OK(map[string]any{"catalog": k.catalog(c), "links": self(c, "/v3/auth/catalog")})
}

func (k *keystone) listServices(c *service.Call) (service.Reply, error) {
	rows := []any{}
	for _, e := range k.endpoints {
		if asked := c.Query().Get("type"); asked == "" || asked == e.Type {
			rows = append(rows, map[string]any{"id": e.Name, "type": e.Type, "name": e.Name, "enabled": true, "links": self(c, "/v3/services/"+e.Name)})
		}
	}
	return service.OK(map[string]any{"services": rows, "links": self(c, "/v3/services")})
}

func (k *keystone) listEndpoints(c *service.Call) (service.Reply, error) {
	rows := []any{}
	for _, e := range k.endpoints {
		for _, name := range interfaces {
			if asked := c.Query().Get("interface"); asked != "" && asked != name {
				continue
			}
			row := k.point(c, e, name)
			row["service_id"], row["enabled"], row["links"] = e.Name, true, self(c, "/v3/endpoints/"+e.Name+"-"+name)
			rows = append(rows, row)
		}
	}
	return service.OK(map[string]any{"endpoints": rows, "links": self(c, "/v3/endpoints")})
}

func (k *keystone) listRegions(c *service.Call) (service.Reply, error) {
	row := map[string]any{"id": k.region, "description": "", "parent_region_id": nil, "links": self(c, "/v3/regions/"+k.region)}
	return service.OK(map[string]any{"regions": []any{row}, "links": self(c, "/v3/regions")})
}

// self is the links of a thing, or of a list that is all on one page.
func self(c *service.Call, path string) map[string]any {
	return map[string]any{"self": c.Base + Prefix + path, "previous": nil, "next": nil}
}
