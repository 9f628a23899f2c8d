package drivers

import (
	"context"

	"grapevine/fleet"
)

// Surveyor is a driver that tells what its host is made of. All drivers of this
// release do. It asks the hypervisor each time, and is for people: what
// placement needs is in the Description.
type Surveyor interface {
	// Survey describes the host's hardware; Host is left zero. Lists are in an
	// order that stays, and never nil.
	Survey(ctx context.Context) (fleet.Hardware, error)
}
