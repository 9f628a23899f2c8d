package compute

import (
	"slices"

	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

// flavorRow shows a flavor. Its numbers are all that it has.
func flavorRow(c *service.Call, f *fleet.Flavor, detail bool) map[string]any {
	self := c.Base + Prefix + base + "/flavors/" + f.Name
	out := map[string]any{"id": f.Name, "name": f.Name, "links": []any{link("self", self), link("bookmark", c.Base+Prefix+"/flavors/"+f.Name)}}
	if detail {
		out["vcpus"], out["ram"], out["disk"], out["swap"] = f.VCPUs, f.MemoryMiB, f.DiskGiB, ""
		out["OS-FLV-EXT-DATA:ephemeral"], out["OS-FLV-DISABLED:disabled"] = 0, false
		out["os-flavor-access:is_public"], out["rxtx_factor"] = true, 1.0
	}
	return out
}

func listFlavors(c *service.Call, detail bool) (service.Reply, error) {
	flavors, err := c.Core.Flavors(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	rows := []any{}
	marker := c.Query().Get("marker")
	limit, err := limitOf(c.Query())
	if err != nil {
		return service.Reply{}, err
	}
	slices.SortFunc(flavors.Items, func(a, b fleet.Flavor) int { return int(a.MemoryMiB - b.MemoryMiB) })
	past := marker == ""
	for i := range flavors.Items {
		f := &flavors.Items[i]
		if past && len(rows) < limit {
			rows = append(rows, flavorRow(c, f, detail))
		}
		past = past || f.Name == marker
	}
	return service.OK(map[string]any{"flavors": rows})
}

func (n *nova) listFlavors(c *service.Call) (service.Reply, error) { return listFlavors(c, false) }

func (n *nova) listFlavorsInDetail(c *service.Call) (service.Reply, error) {
	return listFlavors(c, true)
}

// flavor returns the flavor with an id.
func flavor(c *service.Call, id string) (fleet.Flavor, error) {
	flavors, err := c.Core.Flavors(c.Context())
	if err != nil {
		return fleet.Flavor{}, err
	}
	for _, f := range flavors.Items {
		if f.Name == id {
			return f, nil
		}
	}
	return fleet.Flavor{}, service.NotFound("Flavor", firstOf(id))
}

// flavorNamed is for bodies, in which what is not there is a bad request.
func flavorNamed(c *service.Call, id string) (string, error) {
	f, err := flavor(c, id)
	if fleet.CodeOf(err) == fleet.CodeNotFound {
		err = service.Fail(fleet.CodeUnknownFlavor, err.Error())
	}
	return f.Name, err
}

func (n *nova) showFlavor(c *service.Call) (service.Reply, error) {
	f, err := flavor(c, c.Path("id"))
	return service.Reply{Body: map[string]any{"flavor": flavorRow(c, &f, true)}}, err
}

// listExtraSpecs answers none: a flavor here is its numbers.
func (n *nova) listExtraSpecs(c *service.Call) (service.Reply, error) {
	_, err := flavor(c, c.Path("id"))
	return service.Reply{Body: map[string]any{"extra_specs": map[string]string{}}}, err
}
