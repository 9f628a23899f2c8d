// Package serfrpc answers the stock serf command: members, monitor, rtt,
// reachability, keys, query, event, info, leave and the rest of what that tool
// asks an agent of its own.
//
// The protocol is that of Serf's agent (version 1): requests and answers in
// MessagePack over TCP, a handshake first, then the secret, then commands, each
// a header and a body. It is not encrypted, and so for loopback only.
//
// Serf's own implementation is part of a package that wants to create the Serf
// instance itself, with events, compression and logging as that package likes
// them, that ends the process when told to leave, and brings twenty modules.
package serfrpc
