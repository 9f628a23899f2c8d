package mesh

import (
	"context"

	"grapevine/fleet"
)

// Membership says who is in the mesh. Serf is the real one; tests in virtual
// time have others. All methods may be called at any time after New.
type Membership interface {
	// Start begins to take part; Run does what goes on, until ctx ends.
	Start() error
	Run(ctx context.Context) error
	// Members returns all members ever heard, in any order, this one included.
	Members() []fleet.Member
	// Changed is closed at the next change of any member.
	Changed() <-chan struct{}
	// Join tries once to join through a gossip address, and may block for a
	// few seconds.
	Join(addr string) error
	// Leave says good bye, within a few seconds.
	Leave()
	// Close releases everything; it may be called more than once.
	Close()
	// Addr is where this member listens, Advertised what others are told.
	Addr() string
	Advertised() string
}
