package drivers

import (
	"context"
	"errors"
	"io"

	"grapevine/fleet"
)

// The features of a Consoler, one for each kind of console.
const (
	FeatureConsole Feature = "console" // fleet.SerialConsole
	FeatureVNC     Feature = "vnc"     // fleet.VNCConsole
)

// The errors of consoles that callers tell apart.
var (
	// ErrConsoleHeld: somebody else has the console, and is not sent away.
	ErrConsoleHeld = errors.New("somebody else has the console")
	// ErrNotRunning: a machine that does not run has no console.
	ErrNotRunning = errors.New("the machine does not run")
)

// Consoler is a driver that lets people sit down in front of machines.
type Consoler interface {
	// OpenConsole opens a console of a managed machine that runs or is paused.
	// The console ends with io.EOF when the machine stops and with
	// ErrUnavailable when the connection is lost; closing it ends a Read and a
	// Write under way. One may read and another write at the same time. What
	// is not read holds up the guest or is lost; nothing is piled up.
	//
	// A serial console has one holder: opening it is ErrConsoleHeld while
	// somebody else has it, however they got it, unless force is set, which
	// ends theirs.
	OpenConsole(ctx context.Context, id fleet.InstanceID, kind fleet.ConsoleKind, force bool) (io.ReadWriteCloser, error)
}

// FeatureOf is the feature that a kind of console takes.
func FeatureOf(kind fleet.ConsoleKind) Feature {
	if kind == fleet.VNCConsole {
		return FeatureVNC
	}
	return FeatureConsole
}
