// Package enrol lets hosts into a fleet by name: it makes one-time join tokens,
// takes them for certificates, and renews those. Any node that holds an
// intermediate CA does so; see docs/decisions/0013-getting-in.md.
//
// A token bears the hash of the fleet's root, so that who has it can tell the
// node that it talks to from another, and 256 random bits, of which the node
// keeps a hash.
package enrol
