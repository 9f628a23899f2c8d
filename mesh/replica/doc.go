// Package replica is what a node holds of the fleet: for every host ever heard
// the newest [Block], whole and checked against its head.
//
// It is pure: it does no I/O, reads no clock (now is an argument) and starts
// nothing. A [Replica] has one writer, which its caller names, and any number
// of readers, which take no lock and never wait: blocks are immutable and are
// swapped whole.
//
// The merge law is one line: of two heads of a host the greater wins
// (wire.Head.Compare), and a block is taken only if its rows match its head's
// count and hash. So nodes that have heard the same heads hold the same bytes,
// whatever the order, the repetitions and the ways they came by.
//
// [Origin] is the other end: it turns a host's own rows into its next block.
package replica
