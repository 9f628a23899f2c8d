// Package fleet is the shared vocabulary of Grapevine: what a host, an
// instance, an image, a claim and a version are, in which units they are
// counted, how large they may be, and when a request fits a host.
//
// It holds facts and pure rules only. It imports the standard library and
// nothing else, does no I/O and never reads a clock, so that every other
// package may import it and agree.
//
// The structs are at once Go types and the JSON of the API: their tags are
// fixed names that clients rely on. Fields marked "overlay" are not part of
// what a host says about itself; the reading node fills them in at the moment
// of the read (how old the row is, whether its host can be heard).
package fleet
