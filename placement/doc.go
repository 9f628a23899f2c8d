// Package placement proposes a host for a request: filter, sample, score,
// propose the best. It admits nothing; the host has the last word.
//
// An Index keeps of the newest row of each host what a host is judged by, and
// of each host that takes anything at all a room: 16 bytes with what is free.
// Rooms lie by class (zone, hypervisor and traits, what filters ask for) and in
// it by bucket of free memory, so that what a request's filters and memory
// leave is one range a class, found with a few bitmaps. Pick draws eight that
// fit from these ranges: to spread, from all of them, and takes the one that
// would be left with the most room; to pack, from the sixteenth with least free
// memory, and takes the one that would be left with the least. Where an image
// has few holders it looks at those instead.
//
// It never sorts the view and takes the first: with many registries on one
// stale view they would all propose the same host, and nearly all be refused
// (at 90 % full, with 200 picks on one second-old view, the simulation in this
// package shows 6 % first-try success against 100 %). On a refusal the caller
// gives Update the host's fresh row, which came with the refusal, excludes the
// host and picks again.
//
// What a choice among thousands of hosts waits for is memory, and branches that
// nobody can predict. So what is looked at of eight hosts lies close together,
// apart from what is judged of the one chosen; it is read before any of it is
// needed; and searches go without branches.
//
// The package is pure: it does no I/O, reads no clock, and its randomness is
// an argument. Whether a host fits is decided by fleet.Fits, here as at the
// host itself, and by whether the host can be heard: rooms only say which
// hosts are worth asking about.
package placement
