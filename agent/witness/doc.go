// Package witness is the rule by which one witness grants the keys of the
// fleet: what it promises and accepts, when it may, and what it may forget. It
// is pure: the agent reads an entry from its journal, has it judged, and writes
// what came of it to the journal before it answers.
//
// Each key is a register of its own, which a majority of the witnesses keeps by
// the algorithm of Paxos in its form for registers: L. Lamport, "Paxos Made
// Simple" (2001), and D. Rystsov, "CASPaxos: Replicated State Machines without
// logs" (arXiv:1802.07000), in which a round reads what was accepted last and
// has a change of it accepted. A witness is an acceptor, package grants has the
// proposer. Three rules are added:
//
//  1. A witness accepts only under the very ballot that it promised last, so that
//     what it has forgotten of a promise cannot let an older round through.
//  2. An answer counts under one number of the witness set, and a witness gives it
//     only under its own. So rounds under an older set end when a majority of its
//     members know the newer one, and only then is there a majority from which a
//     new member can learn.
//  3. A witness that has lost its memory, or has none yet, grants nothing until
//     every round that it can have taken part in is over, by its own clock, and
//     until it has then read all that a majority of the others have.
//
// What a witness drops (an instance is long gone) it remembers by one number, its
// floor: a key of which it has nothing is promised only above it. So a ballot
// that it once promised, or accepted under, stays above those that come after.
package witness
