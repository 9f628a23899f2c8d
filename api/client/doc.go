// Package client is the one HTTP client to Grapevine nodes, for registries,
// agents, the command line and programs: one method for each route of the
// native API, in the words of package fleet.
//
// A node's own errors come back as *fleet.Error with all that the problem
// document held. Errors of the way there are told apart, because a time-out is
// not a refusal: ErrUnreachable means that the request was surely not
// processed, ErrOutcomeUnknown that it may have been.
package client
