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
	seers      = []PrincipalRole{AsAgent, AsRegistry, AsOperator, AsAdmin, AsMember, AsReader} // members and readers: see scopes
	members    = []PrincipalRole{AsRegistry, AsOperator, AsAdmin, AsMember}
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

	"GET /v1/login":                  anyone,
	"POST /v1/tokens":                anyone,
	"DELETE /v1/tokens/{id}":         revokers,
	"DELETE /v1/users/{name}/tokens": revokers,
	"GET /v1/users":                  admins,
	"GET /v1/projects":               people,

	"GET /v1/hosts":                  seers,
	"GET /v1/hosts/{id}":             seers,
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
	"POST /v1/hosts/{id}/revoke":       mutators,
	"GET /v1/records":                  readers,

	"GET /v1/groups":           seers,
	"POST /v1/groups":          members,
	"GET /v1/groups/{id}":      seers,
	"DELETE /v1/groups/{id}":   members,
	"GET /v1/keypairs":         seers,
	"POST /v1/keypairs":        members,
	"GET /v1/keypairs/{id}":    seers,
	"DELETE /v1/keypairs/{id}": members,

	"GET /v1/instances":                     seers,
	"POST /v1/instances":                    members,
	"GET /v1/instances/{id}":                seers,
	"DELETE /v1/instances/{id}":             members,
	"POST /v1/instances/{id}/{action}":      members,
	"POST /v1/instances/{id}/delete-intent": mutators,
	"POST /v1/instances/{id}/resize":        members,
	"POST /v1/instances/{id}/capture":       mutators,
	"POST /v1/instances/{id}/rebuild":       members,
	"POST /v1/instances/{id}/migrate":       mutators,
	"POST /v1/instances/{id}/autostart":     members,
	"POST /v1/instances/{id}/rescue":        members,
	"POST /v1/instances/{id}/unrescue":      members,
	"POST /v1/instances/{id}/export":        members,
	"GET /v1/instances/{id}/export":         members,
	"DELETE /v1/instances/{id}/export":      members,
	"GET /v1/instances/{id}/export/file":    members,
	"GET /v1/instances/{id}/log":            seers,
	"POST /v1/instances/{id}/console":       members,
	"GET /v1/instances/{id}/console":        mutators,

	"GET /v1/instances/{id}/snapshots":                seers,
	"GET /v1/instances/{id}/devices":                  seers,
	"GET /v1/instances/{id}/usage":                    seers,
	"POST /v1/instances/{id}/snapshots":               members,
	"POST /v1/instances/{id}/devices":                 members,
	"POST /v1/instances/{id}/snapshots/{name}/revert": members,
	"POST /v1/instances/{id}/devices/{name}/grow":     members,
	"DELETE /v1/instances/{id}/snapshots/{name}":      members,
	"DELETE /v1/instances/{id}/devices/{name}":        members,

	"GET /v1/images":                   seers,
	"GET /v1/images/{id}":              seers,
	"DELETE /v1/images/{id}":           mutators,
	"POST /v1/images/import":           mutators,
	"POST /v1/images":                  mutators,
	"POST /v1/images/{id}/upload":      mutators,
	"GET /v1/images/{id}/upload":       readers,
	"HEAD /v1/images/{id}/upload":      readers,
	"PATCH /v1/images/{id}/upload":     mutators,
	"GET /v1/flavors":                  seers,
	"GET /v1/images/{id}/files/{role}": readers,

	"GET /v1/operations/{id}": seers,
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
	"GET /v1/trust":               readers,
	"POST /v1/trust":              mutators,

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
