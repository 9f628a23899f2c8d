// Package simulated is an in-memory hypervisor: machines that exist only as
// rows, on a host that exists only in this process. Demonstrations and tests
// run on it, and it is shipped for both.
//
// A hypervisor outlives the agent that drives it, so there are two parts. The
// Hypervisor is the machine under the fleet's feet: it holds the virtual
// machines, in memory or written through to a folder, and tests act on it
// behind the agent's back: define foreign machines, stop or crash machines,
// cut the connection, fill the storage, hold a build at a step. A Driver is
// one connection to it, made by Connect, and speaks the contract of package
// drivers.
//
// Time passes by package time alone, so that a Hypervisor made inside a
// testing/synctest bubble lives in virtual time.
package simulated
