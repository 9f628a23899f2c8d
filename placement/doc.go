// Package placement proposes a host for a request: filter, sample, score,
// propose the best. It admits nothing; the host has the last word.
//
// Pick looks at hosts in a random order until eight fit, and proposes the one
// that would be left with the most room. It never sorts the view and takes the
// first: with many registries on one stale view they would all propose the
// same host, and nearly all be refused (at 90 % full, with 200 picks on one
// second-old view, the simulation in this package shows 6 % first-try success
// against 99 %). On a refusal the caller gives Update the host's fresh row,
// which came with the refusal, excludes the host and picks again.
//
// The package is pure: it does no I/O, reads no clock, and its randomness is
// an argument. Whether a host fits is decided by fleet.Fits, here as at the
// host itself, and by whether the host can be heard.
package placement
