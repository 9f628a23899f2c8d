package image

import "grapevine/registry/openstack/service"

// schema describes an image as JSON schema: glanceclient shows nothing without it.
func schema() map[string]any {
	text, number, boolean := map[string]any{"type": []string{"null", "string"}}, map[string]any{"type": []string{"null", "integer"}}, map[string]any{"type": "boolean"}
	properties := map[string]any{"tags": map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}
	for _, name := range []string{"id", "name", "status", "visibility", "disk_format", "container_format", "owner", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "self", "file", "schema"} {
		properties[name] = text
	}
	for _, name := range []string{"size", "virtual_size", "min_disk", "min_ram"} {
		properties[name] = number
	}
	for _, name := range []string{"protected", "os_hidden"} {
		properties[name] = boolean
	}
	return map[string]any{"name": "image", "properties": properties, "additionalProperties": map[string]any{"type": "string"}, "links": []any{
		map[string]any{"rel": "self", "href": "{self}"}, map[string]any{"rel": "describedby", "href": "{schema}"},
	}}
}

func (g *glance) schema(*service.Call) (service.Reply, error) { return service.OK(schema()) }

func (g *glance) listSchema(*service.Call) (service.Reply, error) {
	return service.OK(map[string]any{
		"name": "images",
		"properties": map[string]any{
			"images": map[string]any{"type": "array", "items": schema()},
			"first":  map[string]any{"type": "string"}, "next": map[string]any{"type": "string"}, "schema": map[string]any{"type": "string"},
		},
		"links": []any{map[string]any{"rel": "first", "href": "{first}"}, map[string]any{"rel": "next", "href": "{next}"}, map[string]any{"rel": "describedby", "href": "{schema}"}},
	})
}
