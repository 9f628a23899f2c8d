// Package view answers reads of the whole fleet from this node's replica, the
// same at registries and agents: filters, pages, reachability laid over at the
// moment of the read, coverage, names turned into numbers, and placement's
// index kept up to date.
//
// What a host said of itself is never changed here, only overlaid: how old the
// row is, whether its host can be heard, and what other rows call its host. A
// host that cannot be heard keeps its rows; they say so.
package view
