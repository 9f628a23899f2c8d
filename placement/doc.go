// Package placement proposes a host for a request: filter, sample, score,
// propose the best. It admits nothing; the host has the last word.
//
// An Index keeps the newest row of each host, and of each host that takes
// anything at all a room: 32 bytes with what is free. Rooms lie by class (zone,
// hypervisor and traits, what filters ask for) and in it by bucket of free
// memory, so that what a request's filters and memory leave is one range a
// class, found with a few bitmaps. Pick draws eight that fit from these ranges:
// to spread, from all of them, and takes the one that would be left with the
// most room; to pack, from the sixteenth with least free memory, and takes the
// one that would be left with the least. Where an image has few holders it
// looks at those instead.
//
// It never sorts the view and takes the first: with many registries on one
// stale view they would all propose the same host, and nearly all be refused
// (at 90 % full, with 200 picks on one second-old view, the simulation in this
// package shows 6 % first-try success against 100 %). On a refusal the caller
// gives Update the host's fresh row, which came with the refusal, excludes the
// host and picks again.
//
// The package is pure: it does no I/O, reads no clock, and its randomness is
// an argument. Whether a host fits is decided by fleet.Fits, here as at the
// host itself, and by whether the host can be heard: rooms only say which
// hosts are worth asking about.
package placement
