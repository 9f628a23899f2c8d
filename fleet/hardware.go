package fleet

// Hardware is what a host is made of and has to offer beside its capacity. It
// is asked of the host itself; the mesh does not carry it. What a hypervisor
// does not tell is empty.
type Hardware struct {
	Host     HostID        `json:"host"`
	CPU      CPU           `json:"cpu"`
	NUMA     []NUMACell    `json:"numa"`
	Pools    []StoragePool `json:"pools"`
	Networks []HostNetwork `json:"networks"`
	Devices  []HostDevice  `json:"devices"`
}

// CPU is a host's processors, all of a kind.
type CPU struct {
	Model   string   `json:"model" doc:"as the hypervisor calls it"`
	Flags   []string `json:"flags" doc:"features beyond the model's name, as Linux calls them, in order"`
	Sockets int      `json:"sockets"`
	Cores   int      `json:"cores" doc:"per socket"`
	Threads int      `json:"threads" doc:"per core"`
}

// NUMACell is processors and the memory that is near them.
type NUMACell struct {
	ID        int   `json:"id"`
	CPUs      int   `json:"cpus" doc:"logical CPUs"`
	MemoryMiB int64 `json:"memory_mib"`
}

// StoragePool is a place for disks: a libvirt pool, a datastore.
type StoragePool struct {
	Name     string `json:"name"`
	Type     string `json:"type" doc:"as the hypervisor calls it: dir, logical, VMFS"`
	Active   bool   `json:"active"`
	TotalGiB int64  `json:"total_gib"`
	FreeGiB  int64  `json:"free_gib"`
}

// HostNetwork is something that machines can be attached to by its name.
type HostNetwork struct {
	Name   string `json:"name"`
	Type   string `json:"type" doc:"network: libvirt's own; bridge: the system's; portgroup: ESXi's"`
	Active bool   `json:"active"`
}

// HostDevice is a device worth knowing of: a graphics card, or a network card
// that can be divided among machines.
type HostDevice struct {
	Kind             string `json:"kind" doc:"gpu or nic"`
	Name             string `json:"name" doc:"vendor and product"`
	Address          string `json:"address" doc:"on the PCI bus"`
	VirtualFunctions int    `json:"virtual_functions" doc:"most that it can be divided into (SR-IOV)"`
}
