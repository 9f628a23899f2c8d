// Package agent is the daemon of one host. It drives the host's hypervisor,
// says on the mesh what the host has and what runs there, and serves its API:
// reads of the whole fleet, writes of this host.
//
// Facts flow up: the driver's events and listings become the observer's
// picture, the picture and the ledger's claims become rows, and the rows are
// published. Requests flow down: a proposal is judged by the ledger against
// the host as it is, written to the journal, and only then answered; the
// operation that follows is journalled step by step and, after a crash, taken
// up again.
//
// The agent is the only writer about its host, and what the hypervisor says
// outranks all that the agent remembers.
package agent
