package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// OperationState is how far an operation has come.
type OperationState string

// The states of an operation; the last two are final.
const (
	OperationRunning   OperationState = "running"
	OperationSucceeded OperationState = "succeeded"
	OperationFailed    OperationState = "failed"
)

// Progress is how much of what is under way is done: bytes of a transfer, or, of
// work that the hypervisor does by itself, the percentage that it says.
type Progress struct {
	DoneBytes  int64 `json:"done_bytes"`
	TotalBytes int64 `json:"total_bytes"` // 0: not known
	Percent    int   `json:"percent,omitempty"`
}

// Operation is one mutation of one instance, or of an image where Instance is
// zero, kept by the host that does it.
type Operation struct {
	ID       string     `json:"id"`
	Host     HostID     `json:"host"`
	Instance InstanceID `json:"instance,omitzero"`
	Image    string     `json:"image,omitempty"` // that it is about, or that its instance is built on
	// ImageName is that of the image that a capture or a download makes: first the
	// one asked for, in the end the one that it has. That is another where the
	// fleet had its content before, for an image keeps its name.
	ImageName string         `json:"image_name,omitempty"`
	Verb      string         `json:"verb"` // create, delete, resize, an instance action or a snapshot verb
	State     OperationState `json:"state"`
	Step      string         `json:"step,omitempty"`     // journalled before what must not be done twice
	Progress  *Progress      `json:"progress,omitempty"` // of what is under way, where that is told; not journalled
	Fault     string         `json:"fault,omitempty"`
	StartedAt time.Time      `json:"started_at"`         // host's wall clock
	EndedAt   *time.Time     `json:"ended_at,omitempty"` // host's wall clock
}

// OperationID names the n-th operation of a host. Any node can tell from it
// which host to ask.
func OperationID(host HostID, n uint64) string {
	return host.String() + "." + strconv.FormatUint(n, 10)
}

// ParseOperationID returns the host and the number in an operation's id.
func ParseOperationID(id string) (HostID, uint64, error) {
	host, number, ok := strings.Cut(id, ".")
	h, errHost := ParseUUID(host)
	n, errNumber := strconv.ParseUint(number, 10, 64)
	if !ok || errHost != nil || errNumber != nil {
		return HostID{}, 0, fmt.Errorf("operation id %.80q is not of the form host-id.number", id)
	}
	return h, n, nil
}
