// Package identity is who a node is and how it proves it: the fleet's own
// certificate authority, certificates bound to ids, and the TLS settings that
// links and the HTTPS API share.
//
// A certificate says its subject in a URI, grapevine://fleet/role/id, so that
// a node is known by its id and not by its address: hosts move, are renamed and
// sit behind NAT. Every node certificate also carries ServerName, which
// clients ask for, so that the ordinary verification of crypto/tls does its
// work and only the id is left to compare.
//
// Beside it stands the gossip key, which encrypts what Serf sends.
package identity
