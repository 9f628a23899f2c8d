package fleet

// Usage is what a machine that runs or is paused has used since it was last
// switched on; a count begins again with it. What the hypervisor does not count
// is absent, and not 0.
type Usage struct {
	CPUSeconds *float64 `json:"cpu_seconds,omitempty" doc:"time of the host's processors"`
	// CPUHertz is for hypervisors that tell this instead.
	CPUHertz             *int64 `json:"cpu_hertz,omitempty" doc:"what it takes of the host's processors now"`
	MemoryBytes          *int64 `json:"memory_bytes,omitempty" doc:"of the host's memory, now"`
	DiskReadBytes        *int64 `json:"disk_read_bytes,omitempty"`
	DiskWrittenBytes     *int64 `json:"disk_written_bytes,omitempty"`
	NetworkReceivedBytes *int64 `json:"network_received_bytes,omitempty"`
	NetworkSentBytes     *int64 `json:"network_sent_bytes,omitempty"`
}

// InstanceUsage is the usage of one instance, as its host tells it.
type InstanceUsage struct {
	Instance InstanceID `json:"instance"`
	Usage
}
