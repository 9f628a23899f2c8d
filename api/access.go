package api

import "slices"

// The groups of roles that routes are open to.
var (
	anyone     = []PrincipalRole{Nobody, AsAgent, AsRegistry, AsOperator, AsAdmin, AsMember, AsReader}
	readers    = []PrincipalRole{AsAgent, AsRegistry, AsOperator, AsAdmin}
	mutators   = []PrincipalRole{AsRegistry, AsOperator, AsAdmin}
	revokers   = []PrincipalRole{AsRegistry, AsOperator, AsAdmin, AsMember, AsReader} // the handler judges whose tokens
	people     = []PrincipalRole{AsRegistry, AsOperator, AsAdmin, AsMember, AsReader}
	admins     = []PrincipalRole{AsRegistry, AsAdmin}
	nodes      = []PrincipalRole{AsAgent, AsRegistry}
	registries = []PrincipalRole{AsRegistry}
)

// access says who may use which route; a route that is not here is not served.
// Claims and keys are words between nodes: an operator creates instances, and
// leaves it to a registry to find them a host.
var access = map[string][]PrincipalRole{
	"GET /healthz":      anyone,
	"GET /readyz":       anyone,
	"GET /version":      anyone,
	"GET /openapi.json": anyone,
	"GET /metrics":      readers,

	"POST /v1/tokens":                anyone,
	"DELETE /v1/tokens/{id}":         revokers,
	"DELETE /v1/users/{name}/tokens": revokers,
	"GET /v1/users":                  admins,
	"GET /v1/projects":               people,

	"GET /v1/hosts":                  readers,
	"GET /v1/hosts/{id}":             readers,
	"GET /v1/hosts/{id}/hardware":    readers,
	"GET /v1/verify":                 readers,
	"GET /v1/hosts/{id}/verify":      readers,
	"GET /v1/hosts/{id}/audit":       mutators,
	"GET /v1/hosts/{id}/audit/heads": readers,
	"GET /v1/hosts/{id}/drain":       readers,
	"POST /v1/hosts/{id}/drain":      mutators,
	"POST /v1/hosts/{id}/undrain":    mutators,
	"POST /v1/hosts/{id}/{action}":   mutators,
	"POST /v1/hosts/{id}/release":    mutators,

	"POST /v1/hosts/{id}/declare-dead": mutators,
	"POST /v1/hosts/{id}/forget":       mutators,
	"GET /v1/records":                  readers,

	"GET /v1/groups":           readers,
	"POST /v1/groups":          mutators,
	"GET /v1/groups/{id}":      readers,
	"DELETE /v1/groups/{id}":   mutators,
	"GET /v1/keypairs":         readers,
	"POST /v1/keypairs":        mutators,
	"GET /v1/keypairs/{id}":    readers,
	"DELETE /v1/keypairs/{id}": mutators,

	"GET /v1/instances":                     readers,
	"POST /v1/instances":                    mutators,
	"GET /v1/instances/{id}":                readers,
	"DELETE /v1/instances/{id}":             mutators,
	"POST /v1/instances/{id}/{action}":      mutators,
	"POST /v1/instances/{id}/delete-intent": mutators,
	"POST /v1/instances/{id}/resize":        mutators,
	"POST /v1/instances/{id}/capture":       mutators,
	"POST /v1/instances/{id}/rebuild":       mutators,
	"POST /v1/instances/{id}/migrate":       mutators,
	"POST /v1/instances/{id}/autostart":     mutators,
	"POST /v1/instances/{id}/rescue":        mutators,
	"POST /v1/instances/{id}/unrescue":      mutators,
	"POST /v1/instances/{id}/export":        mutators,
	"GET /v1/instances/{id}/export":         mutators,
	"DELETE /v1/instances/{id}/export":      mutators,
	"GET /v1/instances/{id}/export/file":    mutators,
	"GET /v1/instances/{id}/log":            readers,
	"POST /v1/instances/{id}/console":       mutators,
	"GET /v1/instances/{id}/console":        mutators,

	"GET /v1/instances/{id}/snapshots":                readers,
	"GET /v1/instances/{id}/devices":                  readers,
	"GET /v1/instances/{id}/usage":                    readers,
	"POST /v1/instances/{id}/snapshots":               mutators,
	"POST /v1/instances/{id}/devices":                 mutators,
	"POST /v1/instances/{id}/snapshots/{name}/revert": mutators,
	"POST /v1/instances/{id}/devices/{name}/grow":     mutators,
	"DELETE /v1/instances/{id}/snapshots/{name}":      mutators,
	"DELETE /v1/instances/{id}/devices/{name}":        mutators,

	"GET /v1/images":                   readers,
	"GET /v1/images/{id}":              readers,
	"DELETE /v1/images/{id}":           mutators,
	"POST /v1/images/import":           mutators,
	"POST /v1/images":                  mutators,
	"POST /v1/images/{id}/upload":      mutators,
	"GET /v1/images/{id}/upload":       readers,
	"HEAD /v1/images/{id}/upload":      readers,
	"PATCH /v1/images/{id}/upload":     mutators,
	"GET /v1/flavors":                  readers,
	"GET /v1/images/{id}/files/{role}": readers,

	"GET /v1/operations/{id}": readers,
	"POST /v1/placements":     readers,

	"GET /v1/mesh/members": readers,
	"GET /v1/mesh/links":   readers,
	"GET /v1/mesh/digest":  readers,
	"GET /v1/mesh/lag":     readers,
	"GET /v1/mesh/watch":   readers,
	"GET /v1/mesh/trace":   readers,
	"GET /v1/mesh/diff":    readers,
	"GET /v1/mesh/rtt":     readers,
	"GET /v1/mesh/ping":    readers,
	"GET /v1/mesh/keys":    readers,
	"POST /v1/mesh/keys":   mutators,
	"POST /v1/mesh/leave":  mutators,

	"POST /v1/join-tokens":        mutators,
	"GET /v1/join-tokens":         mutators,
	"DELETE /v1/join-tokens/{id}": mutators,
	"GET /v1/join":                anyone,
	"POST /v1/join":               anyone, // whoever shows a token, which the desk judges
	"POST /v1/certificates":       nodes,

	"GET /v1/witnesses":  readers,
	"POST /v1/witnesses": mutators,

	"GET /v1/witness":      nodes,
	"PUT /v1/witness":      nodes,
	"GET /v1/grants":       nodes,
	"PUT /v1/grants/{key}": nodes,

	"GET /v1/keys/{id}":    nodes,
	"PUT /v1/keys/{id}":    nodes,
	"PUT /v1/records/{id}": nodes,
	"GET /v1/moves/{id}":   nodes,
	"PUT /v1/moves/{id}":   nodes,
	"PUT /v1/claims/{id}":  registries,
	"PUT /v1/sizes/{id}":   registries,

	"PUT /v1/withdrawals/{id}": registries,
}

// ticketed are the routes that are open as well to whoever shows a one-time
// token in the query, which the handler judges. A browser can send no other
// credential with a WebSocket to a host whose certificate it does not share.
var ticketed = []string{consoleRoute}

// admits reports whether the route is open to a role.
func admits(route string, role PrincipalRole) bool {
	return slices.Contains(access[route], role)
}
