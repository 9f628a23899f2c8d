// Package quarantine is the rule by which a host that has been away is trusted
// again. It is pure: what is known and the time are arguments, and the agent
// journals the state before it acts on it.
//
// A host that the fleet has missed for long, that somebody gave up meanwhile, or
// that has rebooted and has machines to start, comes back in quarantine: it
// observes, publishes and lets run what runs, but takes nothing new and starts
// nothing. It compares what it has with what the fleet shows. A machine that
// another host shows in the same or a higher generation is superseded here. It
// is trusted again once it has taken in what enough peers hold and found no such
// machine, or when an operator says so.
package quarantine
