// Package records is the law of facts that no host owns: decisions about hosts,
// intents to delete instances, and the objects of projects: groups and key
// pairs. It is pure; agents journal what they hold,
// and every node reads the union over the blocks of all holders.
//
// A record never changes, and its id follows from what it states. So holders
// need not agree on anything: sets of records merge by union, in any order and
// however often. Which of them count is worked out from the union by each
// reader: one that another outdoes is superseded, one that its host has made
// empty since is spent. Both are dropped after a day by each holder for itself;
// a copy that turns up later, from a holder that was away, is judged the same
// way and does nothing. The end of an object is kept for as long as any block,
// heard or not, bears what made it.
package records
