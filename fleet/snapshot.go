package fleet

import (
	"strings"
	"time"
)

// Snapshot is a past of a machine that can be brought back: its disks and, of
// one that ran or was paused, its memory.
type Snapshot struct {
	Name      string    `json:"name"`       // one of a kind on its machine
	CreatedAt time.Time `json:"created_at"` // hypervisor's wall clock
	Power     Power     `json:"power"`      // what the machine is after a revert
	// Parent is the snapshot upon which it was taken, empty for the first.
	Parent string `json:"parent,omitempty"`
	// Current is set on the one snapshot that the machine goes on from.
	Current bool `json:"current"`
	// Resources are what the machine has again after a revert; zeros where the
	// hypervisor does not tell.
	Resources
}

// SnapshotList is all snapshots of a machine, oldest first.
type SnapshotList struct {
	Instance InstanceID `json:"instance"`
	Items    []Snapshot `json:"items"`
}

// SnapshotVerb is what is done to a snapshot. It is the verb of the operation
// that does it.
type SnapshotVerb string

// The verbs.
const (
	TakeSnapshot   SnapshotVerb = "take-snapshot"
	RevertSnapshot SnapshotVerb = "revert-snapshot"
	DeleteSnapshot SnapshotVerb = "delete-snapshot"
)

// SnapshotChange does something to the snapshot of a machine that has this
// name.
type SnapshotChange struct {
	Verb SnapshotVerb
	Name string
}

// Validate judges a change as a person sent it.
func (c SnapshotChange) Validate() error {
	if !c.Verb.Known() {
		return &Error{Code: CodeInvalid, Detail: "snapshot verb " + string(c.Verb) + " is not known"}
	}
	if err := CheckName("snapshot name", c.Name); err != nil {
		return err
	}
	// Hypervisors name files and paths by it.
	if strings.ContainsAny(c.Name, `/\`) || c.Name == "." || c.Name == ".." {
		return &Error{Code: CodeInvalid, Detail: "snapshot name " + c.Name + ` is not one: use a name without / and \`}
	}
	return nil
}

// Known reports whether the verb is one of the three.
func (v SnapshotVerb) Known() bool {
	return v == TakeSnapshot || v == RevertSnapshot || v == DeleteSnapshot
}

// CreateSnapshot is the body of a request for a snapshot.
type CreateSnapshot struct {
	Name string `json:"name"`
}
