// Package audit is the chain that an agent's audit log is: how an entry is
// hashed, joined to the one before it, and checked. It does no I/O; agent/journal
// keeps the entries.
//
// The hash covers every field of an entry and the hash before it, so that the
// newest hash stands for all that was ever written. It proves nothing by itself
// against whoever can write the whole log anew: that is what the heads are for
// that other nodes have heard.
package audit
