package fleet

import "time"

// ConsoleKind is a way to sit down in front of a machine.
type ConsoleKind string

// The kinds. Serial is the first serial port, byte for byte in both directions;
// VNC is the screen, keyboard and mouse, as RFC 6143 carries them.
const (
	SerialConsole ConsoleKind = "serial"
	VNCConsole    ConsoleKind = "vnc"
)

// OpenConsole is the body of a request for a console.
type OpenConsole struct {
	Kind ConsoleKind `json:"kind"`
	// Force takes the console away from whoever has it.
	Force bool `json:"force,omitempty"`
}

// Validate judges a request as a person sent it.
func (o OpenConsole) Validate() error {
	switch o.Kind {
	case SerialConsole, VNCConsole:
		return nil
	default:
		return &Error{Code: CodeInvalid, Detail: "console kind " + string(o.Kind) + " is not one of serial, vnc"}
	}
}

// ConsoleTicket opens one console once, at the instance's own host. Whoever
// holds it needs nothing else.
type ConsoleTicket struct {
	Instance InstanceID  `json:"instance"`
	Kind     ConsoleKind `json:"kind"`
	Host     HostID      `json:"host"`
	HostName string      `json:"host_name"`
	// URL is that of the WebSocket, the token in it.
	URL string `json:"url"`
	// Fingerprint is the SHA-256 of the certificate that the host shows there,
	// in hexadecimal, for those who do not have the fleet's CA.
	Fingerprint string `json:"fingerprint"`
	// ExpiresAt is by the host's wall clock, for people. The host counts
	// ConsoleTicketLife by its own monotonic one.
	ExpiresAt time.Time `json:"expires_at"`
}

// LogRange is which part of a console's log is wanted.
type LogRange struct {
	// Offset is the first byte wanted, counted from the oldest that is kept.
	Offset int64
	// Tail, if it is not 0, asks for the last so many bytes instead.
	Tail int64
	// Follow goes on with what is printed later, until the machine is gone.
	Follow bool
}

// Validate judges a range as a person sent it.
func (r LogRange) Validate() error {
	switch {
	case r.Offset < 0:
		return &Error{Code: CodeInvalid, Detail: "offset is negative; it counts from the oldest byte that is kept"}
	case r.Tail < 0:
		return &Error{Code: CodeInvalid, Detail: "tail is negative; it is how many bytes of the end are wanted"}
	case r.Offset > 0 && r.Tail > 0:
		return &Error{Code: CodeInvalid, Detail: "offset and tail are both given; give one of them"}
	default:
		return nil
	}
}

// Start returns the first byte wanted of a log that holds size bytes.
func (r LogRange) Start(size int64) int64 {
	if r.Tail > 0 {
		return max(size-r.Tail, 0)
	}
	return min(r.Offset, size)
}
