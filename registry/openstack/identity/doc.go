// Package identity is what clients need of OpenStack's Identity API v3: logging in,
// the catalogue, and reading of projects and users. There is one domain, "default".
// Users, projects and roles are those of the registry's users file, and their ids
// are their names; a token is the registry's own, verifiable at any node.
//
// Nothing is created or changed here: people are in a file, see docs/security.md.
package identity
