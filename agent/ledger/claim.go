package ledger

import "grapevine/fleet"

// Claim is the host's promise of capacity to an instance that is on its way.
// It holds the numbers that were promised, whatever becomes of the flavor.
type Claim struct {
	Proposal fleet.Proposal `json:"proposal"`
	// Operation builds what was claimed.
	Operation string `json:"operation"`
	// Fault is why the build failed. Such a claim holds no capacity: it is kept
	// so that the instance shows its fault until it is deleted.
	Fault string `json:"fault,omitempty"`
}

// ID is the instance that the claim is for.
func (c *Claim) ID() fleet.InstanceID { return c.Proposal.ID }
