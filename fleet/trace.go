package fleet

import "time"

// Trace says how the newest version of a host's block came to each node: of
// the host that an instance is on, where one was asked for.
type Trace struct {
	Instance     InstanceID `json:"instance,omitzero"`
	InstanceName string     `json:"instance_name,omitempty"`
	// InstanceVersion is the version in which the instance's row last changed,
	// as the asked node holds it.
	InstanceVersion Version `json:"instance_version"`
	Host            HostID  `json:"host"`
	HostName        string  `json:"host_name"`
	// Version is the newest one that any of the nodes holds.
	Version  Version      `json:"version"`
	Asked    int          `json:"asked"`    // nodes, the asked one included
	Answered int          `json:"answered"` // those of them that answered in time
	Nodes    []TracedNode `json:"items"`    // ordered by name
}

// TracedNode is what one node holds of the host, and from whom it learnt that.
type TracedNode struct {
	Node    UUID    `json:"node"`
	Name    string  `json:"name"`
	Role    Role    `json:"role"`
	Version Version `json:"version"` // empty where it holds none
	// From is the peer that it learnt this version from; empty at the host's own
	// agent, which Origin marks, and where the node does not know.
	From     UUID   `json:"from,omitzero"`
	FromName string `json:"from_name,omitempty"`
	Origin   bool   `json:"origin,omitempty"`
	// At is when it learnt it, by its own wall clock: for people, since the
	// clocks of two nodes may differ. AgeMS is how many milliseconds ago that
	// was by its own monotonic clock, counted on to the moment at which the
	// trace was put together, so that the ages of two nodes can be compared, to
	// within the time that their answers took.
	At    *time.Time `json:"at,omitempty"`
	AgeMS int64      `json:"age_ms"`
	// Error is why the node did not answer; but for its name and role nothing
	// else is known then.
	Error string `json:"error,omitempty"`
}

// TraceQuery asks for a trace, of an instance's host or of a host.
type TraceQuery struct {
	Instance InstanceID
	Host     HostID
	// Local asks for what the node itself knows, and it asks no other.
	Local bool
}
