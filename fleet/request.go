package fleet

import "fmt"

// Create asks for one instance, in the words of people: this is the body of
// POST /v1/instances.
type Create struct {
	Name       string     `json:"name"`
	Project    string     `json:"project,omitempty"` // "default" when empty
	Flavor     string     `json:"flavor"`
	Image      string     `json:"image"` // id, or a name that matches one digest
	Hypervisor Hypervisor `json:"hypervisor,omitempty"`
	Zone       string     `json:"zone,omitempty"`
	Host       string     `json:"host,omitempty"` // id or name
	// HostLabels are labels, and Traits traits, that the host must have, all of
	// them.
	HostLabels map[string]string `json:"host_labels,omitempty"`
	Traits     []string          `json:"traits,omitempty"`
	// Source is the id of a stopped instance of which this one is to be a clone, at
	// its host: it has what that has, its disks' contents too, but for its identity.
	// Flavor, image, disks and firmware are then those of the source.
	Source string            `json:"source,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// Networks are the network cards, in order; one on the host's default network
	// when there are none, and no card when the only one is NoNetwork.
	Networks []NIC `json:"networks,omitempty"`
	// Disks are those beside the first.
	Disks    []Disk   `json:"disks,omitempty"`
	Firmware Firmware `json:"firmware,omitempty" enum:"bios,uefi"`
	// Group is the server group of its project that it is to be in.
	Group string `json:"group,omitempty"` // id, or a name that one group has
	// KeyPair adds the public key of a key pair of its project to SSHKeys.
	KeyPair string `json:"key_pair,omitempty"` // id, or a name that one key pair has
	// UniqueName has the create refused where another instance of the project has
	// the name by such a create; see the registries' setting unique_names.
	UniqueName bool `json:"unique_name,omitempty"`
	Guest
	Booting
}

// ConsistencyFast is how a create is asked for that no key of the fleet guards.
const ConsistencyFast = "fast"

// DefaultProject owns what names no project.
const DefaultProject = "default"

// Request is what an instance asks of a host, every name resolved: numbers
// instead of a flavor, a digest instead of an image's name. Placement and the
// host judge the same Request with the same function, Fits.
type Request struct {
	ID      InstanceID `json:"id"`
	Name    string     `json:"name"`
	Project string     `json:"project"`
	Flavor  string     `json:"flavor"` // a label from here on
	// Resources are what the instance takes in all; DiskGiB is that of the first
	// disk and of Disks.
	Resources
	Image string `json:"image"`
	// Obtain is the trait of hosts that can get the image from one that holds it;
	// empty where no holder can be heard. Who judges the request fills it in anew.
	Obtain     string            `json:"obtain,omitempty"`
	Hypervisor Hypervisor        `json:"hypervisor,omitempty"`  // empty: any
	Zone       string            `json:"zone,omitempty"`        // empty: any
	Host       HostID            `json:"host,omitzero"`         // zero: any
	HostLabels map[string]string `json:"host_labels,omitempty"` // the host must have them all
	Traits     []string          `json:"traits,omitempty"`      // the host must have them all
	Labels     map[string]string `json:"labels,omitempty"`
	Networks   []NIC             `json:"networks,omitempty"` // as in Create
	Disks      []Disk            `json:"disks,omitempty"`
	Firmware   Firmware          `json:"firmware,omitempty"`
	// Source is the instance of which this one is to be a clone, zero for none. What
	// is not told of it by rows, its host fills in.
	Source InstanceID `json:"source,omitzero"`
	// Group is the server group that the instance is to be in, zero for none.
	Group Joining `json:"group,omitzero"`
	Guest
	Booting
}

// Proposal is a registry's word to one host: take this instance. It is the
// body of PUT /v1/claims/{instance id}, a node route.
type Proposal struct {
	Request
	// RequestHash covers the create's body as it was sent; the same id with
	// another hash is another request and is refused.
	RequestHash string `json:"request_hash"`
	// Attempt counts the hosts tried for this id, from 1. A host that has
	// durably refused an attempt refuses it, and every earlier one, for good.
	Attempt uint32 `json:"attempt"`
	// Generation is that of the machine to build. The host that promises it fills
	// it in, above that of every copy on a host that was given up.
	Generation uint64 `json:"generation,omitempty"`
}

// Accepted is the answer to a mutation that a host has promised durably.
type Accepted struct {
	Instance Instance `json:"instance"`
	// Operation resolves at any node: GET /v1/operations/{id}.
	Operation string `json:"operation"`
	// Version is the host's version under which the promise is visible.
	Version Version `json:"version"`
	// Gone is set in the answer to a request that waited, when the instance
	// was gone in the end; Instance is then the row as it was accepted.
	Gone bool `json:"gone,omitempty"`
	// Consistency is ConsistencyFast where nobody was asked who has the key.
	Consistency string `json:"consistency,omitempty"`
}

// KeyRecord is what a key's home keeps: which instance has the key, and which
// host that was given to. It is journalled at the home before it is answered.
type KeyRecord struct {
	// Kind is empty for GrantCreate: the key is then the instance's id.
	Kind        GrantKind  `json:"kind,omitempty"`
	Instance    InstanceID `json:"instance"`
	RequestHash string     `json:"request_hash"` // of a key of another kind empty
	Host        HostID     `json:"host"`
	// Attempt rises by one, by compare-and-set, whenever a registry takes the
	// key over, with another host or the same one: only who stored the newest
	// attempt may propose it.
	Attempt uint32 `json:"attempt"`
	// Proposed is, of a key of another kind, the attempt under which the instance
	// is proposed to the host: nothing is under way under a later one.
	Proposed uint32 `json:"proposed,omitempty"`
	// Released is set where the holder has given the key back.
	Released bool `json:"released,omitempty"`
}

// Succeeds reports whether a record may take the place of the one held, which
// was of attempt ifAttempt when it was asked for. A key that is held changes only
// under the same request for the same instance; one that was given back is for
// everyone.
func (r *KeyRecord) Succeeds(held *KeyRecord, ifAttempt uint32) bool {
	return ifAttempt == held.Attempt && r.Attempt == held.Attempt+1 &&
		(held.Released || held.Instance == r.Instance && held.RequestHash == r.RequestHash)
}

// ValidKey says what is wrong with a record under this key.
func (r *KeyRecord) ValidKey(key UUID) error {
	own := r.Kind == "" || r.Kind == GrantCreate
	switch {
	case own && r.Instance != key:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("the record is of instance %s and the path of %s; they must be the same", r.Instance, key)}
	case key.IsZero(), r.Instance.IsZero(), r.Host.IsZero():
		return &Error{Code: CodeInvalid, Detail: "the record names no key, no instance or no host"}
	case r.Attempt == 0:
		return &Error{Code: CodeInvalid, Detail: "attempt is 0; attempts count from 1"}
	case own && !IsImageID(r.RequestHash), !own && r.RequestHash != "":
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("request_hash %.80q is not 64 lower-case hexadecimal digits, or not empty for a key of another kind", r.RequestHash)}
	}
	return nil
}

// KeyChange is a compare-and-set at a key's home, the body of
// PUT /v1/keys/{key}: store Record if the attempt held is IfAttempt
// (0: nothing held).
type KeyChange struct {
	Record    KeyRecord `json:"record"`
	IfAttempt uint32    `json:"if_attempt"`
}

// KeyAnswer is the home's answer: the record that it now holds, and whether
// that is the one proposed.
type KeyAnswer struct {
	Record KeyRecord `json:"record"`
	Stored bool      `json:"stored"`
}
