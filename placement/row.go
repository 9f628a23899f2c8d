package placement

import (
	"slices"
	"strconv"

	"grapevine/fleet"
)

// row is what Judge and Score look at of a host and what its kind does not
// say. It fills two cache lines, where fleet.Host has seven.
type row struct {
	version fleet.Version // its Host is the host's id
	free    fleet.Resources
	size    fleet.Resources // of what instances may have in all
	name    string
	images  []string
	labels  map[string]string
}

// set makes the row what the host's account of itself says. It copies part by
// part, as assemble does: a whole that is made and then moved takes longer.
func (r *row) set(host *fleet.Host) {
	c := &host.Capacity
	r.version.Host, r.version.Epoch, r.version.Seq = host.ID, host.Version.Epoch, host.Version.Seq
	r.free.VCPUs, r.size.VCPUs = c.VCPUs.Free, c.VCPUs.Total-c.VCPUs.Reserved
	r.free.MemoryMiB, r.size.MemoryMiB = c.MemoryMiB.Free, c.MemoryMiB.Total-c.MemoryMiB.Reserved
	r.free.DiskGiB, r.size.DiskGiB = c.DiskGiB.Free, c.DiskGiB.Total-c.DiskGiB.Reserved
	r.name, r.images, r.labels = host.Name, host.Images, host.Labels
}

func (r *row) id() fleet.HostID { return r.version.Host }

// newer reports whether the row is strictly newer than one of this version.
func (r *row) newer(v fleet.Version) bool { return r.version.AtLeast(v) && r.version != v }

// kind is what Judge looks at of a host and what many hosts have in common.
type kind struct {
	zone         string
	hypervisor   fleet.Hypervisor
	state        fleet.HostState
	reachability fleet.Reachability
	fault        string
	traits       []string
	networks     []string
}

func kindOf(host *fleet.Host) kind {
	return kind{
		zone: host.Zone, hypervisor: host.Hypervisor, state: host.State,
		reachability: host.Reachability, fault: host.HypervisorFault,
		traits: host.Traits, networks: host.Networks,
	}
}

// describes reports whether the host is of this kind.
func (k *kind) describes(host *fleet.Host) bool {
	return k.zone == host.Zone && k.hypervisor == host.Hypervisor && k.state == host.State &&
		k.reachability == host.Reachability && k.fault == host.HypervisorFault && slices.Equal(k.traits, host.Traits) &&
		slices.Equal(k.networks, host.Networks)
}

// key is the same for kinds that are equal and for no others.
func (k *kind) key() string {
	var key []byte
	for _, part := range []string{k.zone, string(k.hypervisor), string(k.state), string(k.reachability), k.fault} {
		key = strconv.AppendQuote(key, part)
	}
	for _, words := range [][]string{k.traits, k.networks} {
		key = strconv.AppendInt(key, int64(len(words)), 10)
		for _, word := range words {
			key = strconv.AppendQuote(key, word)
		}
	}
	return string(key)
}

// assemble puts into host what its row and its kind say: all at which Judge and
// Score look.
func assemble(host *fleet.Host, r *row, k *kind) {
	host.ID, host.Version, host.Name, host.Images, host.Labels = r.version.Host, r.version, r.name, r.images, r.labels
	host.Zone, host.Hypervisor, host.Traits, host.Networks = k.zone, k.hypervisor, k.traits, k.networks
	host.State, host.Reachability, host.HypervisorFault = k.state, k.reachability, k.fault
	c := &host.Capacity
	c.VCPUs.Free, c.VCPUs.Total = r.free.VCPUs, r.size.VCPUs
	c.MemoryMiB.Free, c.MemoryMiB.Total = r.free.MemoryMiB, r.size.MemoryMiB
	c.DiskGiB.Free, c.DiskGiB.Total = r.free.DiskGiB, r.size.DiskGiB
}
