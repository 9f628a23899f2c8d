// Package bench measures what Grapevine costs: the built binary in processes of
// its own, on loopback, with real certificates, Serf and links, as it ships.
// Each benchmark reports its figures as metrics, and all are printed together
// at the end. `make bench` runs them once; docs/benchmarks.md has the results
// that were obtained and how to read them.
//
// Processor time comes from /proc, so it means the same on a busy machine.
// Nothing here judges: a benchmark fails when Grapevine does not work, never
// because it is slow.
package bench
