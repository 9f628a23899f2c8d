package drivers

import "context"

// Severity says how much a finding matters.
type Severity string

// The severities. An error keeps the host from doing its work; a warning lets
// it work otherwise than expected.
const (
	SeverityOK      Severity = "ok"
	SeverityWarning Severity = "warning"
	SeverityError   Severity = "error"
)

// Finding is one thing that was looked at, and what to do when it is not as
// it should be.
type Finding struct {
	Code     string   `json:"code"` // stable, for programs: "libvirt_socket_absent"
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"`       // what was looked at: a path, a pool's name
	Detail   string   `json:"detail"`        // one sentence of what was found
	Fix      string   `json:"fix,omitempty"` // one sentence of what to do; empty when ok
}

// Diagnoser is a driver that can say whether its hypervisor is ready. Diagnose
// changes nothing on the host, finds the same things in the same order, and
// says what fails as a finding; a context that ends early shortens the list.
type Diagnoser interface {
	Diagnose(ctx context.Context) []Finding
}
