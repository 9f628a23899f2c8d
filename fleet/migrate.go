package fleet

import (
	"encoding/json"
	"fmt"
)

// TraitMigrate is the trait of hosts that move instances to one another.
const TraitMigrate = "migrate"

// VerbMigrate is the verb of operations that move an instance to another host:
// that of the host that it leaves, and that of the host that it goes to.
const VerbMigrate = "migrate"

// Migrate asks for an instance to be moved.
type Migrate struct {
	// Host is the one to move it to, by id or name; the fleet's choice when empty.
	Host string `json:"host,omitempty"`
}

// Move is a stopped instance on its way from one host to another. It is the body
// of PUT /v1/moves/{id}, a node route, by which the host that it leaves
// offers it.
type Move struct {
	// ID is that of the source's operation, To the destination.
	ID     string `json:"id"`
	Source HostID `json:"source"`
	To     HostID `json:"to"`
	// Request is what is asked of the destination, as for a create.
	Request Request `json:"request"`
	// RequestHash is that of the create that the instance came from.
	RequestHash string `json:"request_hash,omitempty"`
	// Generation is that of the instance at the destination: one more than before.
	Generation uint64 `json:"generation"`
	// Mark is what the source's hypervisor keeps of the instance, as drivers write
	// it: nodes between the two do not read it.
	Mark json.RawMessage `json:"mark"`
	// Disks are what it has, in order; of a machine without disks there are none.
	Disks []MovedDisk `json:"disks,omitempty"`
	// Gone is whether the source has given the instance already: a host that knows
	// nothing of the move does not take it any more.
	Gone bool `json:"gone,omitempty"`
	// Key and KeyHash are those of the request for the move, where it had a key.
	Key     string `json:"key,omitempty"`
	KeyHash string `json:"key_hash,omitempty"`
}

// MovedDisk is a disk of an instance that is moved, with the file that holds it,
// which the source gives as it gives images.
type MovedDisk struct {
	Device  string `json:"device"` // disk-0 is the first
	SizeGiB int64  `json:"size_gib"`
	ImageFile
}

// Image is the image that the disk is on its way.
func (d *MovedDisk) Image(m *Move) Image {
	return Image{ID: d.SHA256, Name: fitName(m.Request.Name, "moved-"+d.Device), Files: []ImageFile{d.ImageFile}, Bytes: d.Bytes}
}

// Validate judges an offer that another host makes.
func (m *Move) Validate() error {
	host, _, err := ParseOperationID(m.ID)
	switch {
	case err != nil || host != m.Source:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("move %.80q is no operation of host %s", m.ID, m.Source)}
	case m.To.IsZero() || m.To == m.Source:
		return &Error{Code: CodeInvalid, Detail: "a move names another host to go to"}
	case m.Generation < 2 || len(m.Mark) == 0:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("a move to generation %d, with a mark of %d bytes, is none", m.Generation, len(m.Mark))}
	case len(m.Disks) > MaxDisks+1:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%d disks; an instance has at most %d", len(m.Disks), MaxDisks+1)}
	}
	for i := range m.Disks {
		im := m.Disks[i].Image(m)
		if err := im.Validate(); err != nil {
			return err
		}
	}
	p := Proposal{Request: m.Request}
	return p.Validate()
}

// MoveState is how far a move is at one of its two hosts, as its journal has it.
type MoveState string

// The states. Until the source says MoveGiven it owns the instance, and from then
// on the destination does.
const (
	// Of the source.
	MoveOpen      MoveState = "open"      // nothing is decided
	MoveGiven     MoveState = "given"     // it has given the instance away for good
	MoveEnded     MoveState = "ended"     // and has removed its own machine
	MoveWithdrawn MoveState = "withdrawn" // the move has ended, or will, with the instance here

	// Of the destination.
	MoveComing MoveState = "coming" // it makes the machine
	MoveReady  MoveState = "ready"  // the machine is whole, and may not be started
	MoveOwned  MoveState = "owned"  // the instance is the destination's
	MoveFailed MoveState = "failed" // nothing is left of it there

	// MoveUnknown: that host knows of no such move.
	MoveUnknown MoveState = "unknown"
)

// MoveReport is what one host says of a move.
type MoveReport struct {
	State  MoveState `json:"state"`
	Detail string    `json:"detail,omitempty"` // why it failed, for people
}
