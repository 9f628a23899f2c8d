package compute

import (
	"net/http"

	"grapevine/registry/openstack/service"
)

// span is the microversions that are served.
var span = service.Span{Min: service.Microversion{Major: 2, Minor: 1}, Max: service.Microversion{Major: 2, Minor: 1}}

// The headers that carry a microversion: the older is Nova's alone.
const (
	olderHeader = "X-Openstack-Nova-Api-Version"
	newerHeader = "Openstack-Api-Version"
)

func version(h http.Header) (service.Microversion, error) {
	asked := service.Asked(h.Values(newerHeader), "compute")
	if asked == "" {
		asked = h.Get(olderHeader)
	}
	return span.Read(asked)
}

func headers(h http.Header, v service.Microversion, requestID string) {
	h.Set("X-Compute-Request-Id", requestID)
	h.Add("Vary", newerHeader)
	h.Add("Vary", olderHeader)
	if text := v.String(); text != "" {
		h.Set(newerHeader, "compute "+text)
		h.Set(olderHeader, text)
	}
}

// about describes the API's version, as lists of versions and the version do.
func about(c *service.Call) map[string]any {
	return map[string]any{
		"id": "v2.1", "status": "CURRENT", "updated": "2013-07-23T11:33:21Z", "version": span.Max.String(), "min_version": span.Min.String(),
		"links": []any{link("self", c.Base+Prefix+base+"/")},
	}
}

// versions lists the API's versions. Of v2.0, which strict clients look for at the
// first place, nothing else is served.
func (n *nova) versions(c *service.Call) (service.Reply, error) {
	old := map[string]any{
		"id": "v2.0", "status": "SUPPORTED", "updated": "2011-01-21T11:33:21Z", "version": "", "min_version": "",
		"links": []any{link("self", c.Base+Prefix+"/v2/")},
	}
	return service.OK(map[string]any{"versions": []any{old, about(c)}})
}

func (n *nova) aboutVersion(c *service.Call) (service.Reply, error) {
	row := about(c)
	row["media-types"] = []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}}
	return service.OK(map[string]any{"version": row})
}

// listExtensions is for clients that look whether there are any.
func (n *nova) listExtensions(*service.Call) (service.Reply, error) {
	row := map[string]any{"alias": "os-availability-zone", "name": "AvailabilityZone", "description": "", "namespace": "", "updated": "2014-12-03T00:00:00Z", "links": []any{}}
	return service.OK(map[string]any{"extensions": []any{row}})
}

func link(rel, href string) map[string]any { return map[string]any{"rel": rel, "href": href} }

// faults are Nova's words for statuses.
var faults = map[int]string{
	http.StatusBadRequest: "badRequest", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden", http.StatusNotFound: "itemNotFound",
	http.StatusMethodNotAllowed: "badMethod", http.StatusConflict: "conflictingRequest", http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusTooManyRequests: "overLimit", http.StatusNotImplemented: "notImplemented", http.StatusServiceUnavailable: "serviceUnavailable",
}

func fault(status int, detail string) any {
	name := faults[status]
	if name == "" {
		name = "computeFault"
	}
	return map[string]any{name: map[string]any{"code": status, "message": detail}}
}
