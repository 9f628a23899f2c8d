// Package journal keeps what an agent must not forget: who the host is, the
// epoch it has published under, its claims, operations, refusals and the keys
// it is home of. Every write is on disk (fsync) when it returns, so that what
// follows from it may be said aloud.
//
// The hypervisor outranks the journal: nothing here says what runs, only what
// was promised.
package journal
