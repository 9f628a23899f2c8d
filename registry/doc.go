// Package registry is the stateless API server. It joins the mesh as a member
// that owns nothing, keeps a replica of the fleet in memory, answers reads from
// it (package view) and turns each mutation into calls to the agents that own
// what is changed: it proposes, they decide and remember.
//
// It can be killed at any moment and nothing is lost: which host an instance
// was given to is kept by hosts (the claim by the host itself, the key of an
// idempotent create by the key's home), operations run at hosts, and a new
// registry hears the fleet from its peers before it says that it is ready.
package registry
