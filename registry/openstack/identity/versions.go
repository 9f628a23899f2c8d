package identity

import (
	"net/http"

	"grapevine/registry/openstack/service"
)

// about describes the one version of the API. That it is 3.14 says which calls may
// be looked for, not that all are there.
func (k *keystone) about(c *service.Call) map[string]any {
	return map[string]any{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []any{map[string]any{"rel": "self", "href": c.Base + Prefix + "/v3/"}},
		"media-types": []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func (k *keystone) versions(c *service.Call) (service.Reply, error) {
	return service.Reply{Status: http.StatusMultipleChoices, Body: map[string]any{"versions": map[string]any{"values": []any{k.about(c)}}}}, nil
}

func (k *keystone) version(c *service.Call) (service.Reply, error) {
	return service.OK(map[string]any{"version": k.about(c)})
}
