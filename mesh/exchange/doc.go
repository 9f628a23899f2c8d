// Package exchange is the protocol of links, as a pure state machine: what to
// send to which peer, and what to make of what a peer sent.
//
// On a new link both sides compare digests (root, buckets, rows) and each asks
// for what it lacks. From then on each announces what it newly learnt; the
// other wants it from the first who announced it and gets an answer that leads
// from what it holds to what is newest. All that is still to be said to a peer
// is kept as sets of hosts, never as a queue of messages: a slow peer is told
// less often, and then the newest, and nothing is dropped.
//
// Nothing here does I/O, reads a clock or starts a goroutine; one goroutine at
// a time calls it, and it is the one writer of its replica. docs/protocol.md
// has the rules and timings.
package exchange
