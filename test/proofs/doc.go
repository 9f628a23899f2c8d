// Package proofs tries the promises of docs/guarantees.md on whole fleets in
// virtual time: real agents with real journals on disk, real registries, real
// HTTPS and links, on simulated hypervisors and a network in memory. Hours of
// operations and faults pass within seconds of processor, and no test waits
// for a slow machine.
//
// A World is one fleet in a testing/synctest bubble. A kill takes place while
// every goroutine stands still, so that what is on the disk then is what a
// crash would have left there; the next life begins with a copy of it.
//
// What is not real: membership, which is a roster that finds out about a lost
// node after a while, as Serf does; and the hypervisors.
package proofs
