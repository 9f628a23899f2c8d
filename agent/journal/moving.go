package journal

import "grapevine/fleet"

// Moving is how far an instance is on its way from one host to another, as one of
// the two has it.
type Moving struct {
	fleet.Move
	// Named: somebody said where to move it to, so that it goes there or stays.
	Named bool `json:"named,omitempty"`
	// Given, of the host that it leaves: the instance is the other's from here on,
	// and not started here any more. Retaken is the generation in which it is this
	// host's again all the same, as somebody has given the other up; 0 where it is not.
	Given   bool   `json:"given,omitempty"`
	Retaken uint64 `json:"retaken,omitempty"`
	// Taken, of the host that it goes to: it is the owner from here on. Brought are
	// the images that are there for the machine's disks alone.
	Taken   bool     `json:"taken,omitempty"`
	Brought []string `json:"brought,omitempty"`
	// Settled, of the host that it went to: the other is through with it.
	Settled bool `json:"settled,omitempty"`
}

// Ended is what is kept of a move that has ended: nothing that may be secret.
func (m *Moving) Ended() *Moving {
	if m == nil {
		return nil
	}
	kept := *m
	kept.Request.Guest, kept.Mark = fleet.Guest{}, nil
	return &kept
}

// Arrives reports whether the operation brings an instance here from another
// host. Of no operation it is false.
func (op *Operation) Arrives() bool {
	return op != nil && op.Moving != nil && op.Moving.To == op.Host
}

// UnderWay reports whether the operation moves an instance that is not, or not
// any more, this host's. Of no operation it is false.
func (op *Operation) UnderWay() bool {
	return op.Arrives() || op != nil && op.Moving != nil && op.Moving.Given && op.Moving.Retaken == 0
}

// Unsettled reports whether the operation has brought an instance here of which
// the host that it came from may still ask.
func (op *Operation) Unsettled() bool {
	return op.Arrives() && op.Moving.Taken && !op.Moving.Settled
}
