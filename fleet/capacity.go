package fleet

// Resources are the three things that a host has and an instance takes.
type Resources struct {
	VCPUs     int64 `json:"vcpus" toml:"vcpus"`           // virtual CPUs
	MemoryMiB int64 `json:"memory_mib" toml:"memory_mib"` // MiB of guest memory
	DiskGiB   int64 `json:"disk_gib" toml:"disk_gib"`     // GiB of virtual disk
}

// Plus returns r + s, part by part.
func (r Resources) Plus(s Resources) Resources {
	return Resources{r.VCPUs + s.VCPUs, r.MemoryMiB + s.MemoryMiB, r.DiskGiB + s.DiskGiB}
}

// Amount is one resource's account. Total is what the host would give out in
// all, overcommit already applied by the host; Reserved is kept for the host
// itself; Allocated is taken by instances, managed and foreign, and by claims.
// Free = Total - Reserved - Allocated, and is negative on a host that foreign
// machines have overfilled.
type Amount struct {
	Total     int64 `json:"total"`
	Reserved  int64 `json:"reserved"`
	Allocated int64 `json:"allocated"`
	Free      int64 `json:"free"`
}

// NewAmount returns the account with Free worked out.
func NewAmount(total, reserved, allocated int64) Amount {
	return Amount{Total: total, Reserved: reserved, Allocated: allocated, Free: total - reserved - allocated}
}

// Capacity is a host's account of its resources.
type Capacity struct {
	VCPUs     Amount `json:"vcpus"`
	MemoryMiB Amount `json:"memory_mib"`
	DiskGiB   Amount `json:"disk_gib"`
}

// NewCapacity returns the account of a host with these totals, reserve and
// allocations.
func NewCapacity(total, reserved, allocated Resources) Capacity {
	return Capacity{
		VCPUs:     NewAmount(total.VCPUs, reserved.VCPUs, allocated.VCPUs),
		MemoryMiB: NewAmount(total.MemoryMiB, reserved.MemoryMiB, allocated.MemoryMiB),
		DiskGiB:   NewAmount(total.DiskGiB, reserved.DiskGiB, allocated.DiskGiB),
	}
}

// Free returns what is left of each resource; parts may be negative.
func (c Capacity) Free() Resources {
	return Resources{c.VCPUs.Free, c.MemoryMiB.Free, c.DiskGiB.Free}
}
