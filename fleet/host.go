package fleet

import (
	"slices"
	"time"
)

// Hypervisor is the kind of hypervisor a host runs.
type Hypervisor string

// The hypervisors that Grapevine drives.
const (
	KVM  Hypervisor = "kvm"
	Xen  Hypervisor = "xen"
	ESXi Hypervisor = "esxi"
)

// HostState is what the host's operator wants of it.
type HostState string

// The states of a host. Only an ok host takes new instances.
const (
	HostOK          HostState = "ok"
	HostCordoned    HostState = "cordoned"
	HostDraining    HostState = "draining"
	HostQuarantined HostState = "quarantined"
	// HostMaintenance is what an ok host is while somebody has taken it out of
	// use at its hypervisor.
	HostMaintenance HostState = "maintenance"
)

// Reachability says how much the reading node can trust a row to be current.
// It is laid over rows at read time and never published.
type Reachability string

// The reachabilities, best first. HypervisorUnreachable is said by the host's
// own agent: the agent can be heard, its hypervisor does not answer it, and
// the power states shown are the last seen ones.
const (
	ReachOK                    Reachability = "ok"
	ReachHypervisorUnreachable Reachability = "hypervisor_unreachable"
	ReachSuspect               Reachability = "suspect"
	ReachUnreachable           Reachability = "unreachable"
	ReachLeft                  Reachability = "left"
)

// Host is one hypervisor machine as its agent describes it.
type Host struct {
	ID   HostID `json:"id"`
	Name string `json:"name"` // short host name, a label
	Zone string `json:"zone"`
	// Labels are what the host's operator wants it to be found by; the same rules
	// hold for them as for an instance's.
	Labels            map[string]string `json:"labels"`
	Hypervisor        Hypervisor        `json:"hypervisor"`
	HypervisorVersion string            `json:"hypervisor_version"`
	State             HostState         `json:"state"`
	// StateReason is why the host is quarantined, and what it waits for; empty
	// where it is not.
	StateReason string `json:"state_reason,omitempty"`
	// Reachability and ReachabilitySince are overlays; Since is empty while ok.
	Reachability      Reachability `json:"reachability"`
	ReachabilitySince *time.Time   `json:"reachability_since,omitempty"`
	Capacity          Capacity     `json:"capacity"`
	Instances         int          `json:"instances"` // machines on the host, foreign ones included
	Traits            []string     `json:"traits"`    // what the host can do, sorted
	Images            []string     `json:"images"`    // ids of the images it holds, sorted
	// Networks are the names that an instance's network cards can be on, sorted;
	// the first MaxNetworks of them.
	Networks []string `json:"networks"`
	// API is where the agent's HTTPS API and links are reached, host:port.
	API string `json:"api"`
	// AgentVersion is the build of the agent, for people.
	AgentVersion string `json:"agent_version"`
	// Hardware fingerprints the machine itself, so that a copy of an agent's
	// disk on other hardware is told from a restart.
	Hardware string `json:"hardware,omitempty"`
	// HypervisorFault is why the hypervisor does not answer; empty while it does.
	HypervisorFault string `json:"hypervisor_fault,omitempty"`
	// HypervisorFaultSince is when it stopped answering, by the host's clock.
	HypervisorFaultSince *time.Time `json:"hypervisor_fault_since,omitempty"`
	// Follows is the number of the witness set since which the host is the home of
	// no keys; 0 while it is. Witnesses is the set that a witness goes by.
	Follows   uint64      `json:"follows,omitempty"`
	Witnesses *WitnessSet `json:"witnesses,omitempty"`
	// Audit is the newest entry of the host's audit log, some seconds old; absent where
	// there is none.
	Audit *AuditLink `json:"audit,omitempty"`
	// DeclaredDead is an overlay: who declared the host dead, in this life or a
	// later one, when and why; absent while nobody did.
	DeclaredDead *Record   `json:"declared_dead,omitempty"`
	Version      Version   `json:"version"`
	ObservedAt   time.Time `json:"observed_at"` // host's wall clock, for people only
	AgeMS        int64     `json:"age_ms"`      // overlay: milliseconds since the host was surely alive
}

// TraitCPUPrefix begins the traits that are features of the host's processor, as
// guests find it.
const TraitCPUPrefix = "cpu-"

// TraitStorageFull is the trait of hosts whose storage has no room for a further
// machine, whatever their account of it says: something else fills it, or more
// was promised than there is.
const TraitStorageFull = "storage-full"

// HasTrait reports whether the host names trait among what it can do.
func (h *Host) HasTrait(trait string) bool { return slices.Contains(h.Traits, trait) }

// HasNetwork reports whether the host has a network with this name.
func (h *Host) HasNetwork(name string) bool { return slices.Contains(h.Networks, name) }

// HoldsImage reports whether the host holds the image with this id.
func (h *Host) HoldsImage(id string) bool { return slices.Contains(h.Images, id) }

// HasLabels reports whether the host has every one of these labels, with the
// same value.
func (h *Host) HasLabels(asked map[string]string) bool {
	for key, value := range asked {
		if got, ok := h.Labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// HostAction is a verb on a host.
type HostAction string

// The host actions of this release.
const (
	Cordon   HostAction = "cordon"
	Uncordon HostAction = "uncordon"
)
