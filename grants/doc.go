// Package grants is how a key of the fleet is asked for at the witnesses: the
// proposer of the algorithm whose acceptor is in package agent/witness. It is
// pure; package grants/ask carries the questions.
package grants
