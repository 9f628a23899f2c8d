package fleet

// Withdraw asks a host whether an instance that was given to it is there, and
// where it is not to refuse it, the body of PUT /v1/withdrawals/{instance id}, a
// node route. Who wants something that the instance has, as its name, so learns
// that it is gone and will not come.
type Withdraw struct {
	// Attempt is the last one under which the instance was proposed to the host.
	Attempt uint32 `json:"attempt"`
	// Surely has an instance refused of which the host knows nothing: its proposal
	// may be on its way. One that was deleted there is refused in any case.
	Surely bool `json:"surely,omitempty"`
}

// Withdrawn is the host's answer. Where neither is set it knows nothing of the
// instance, and has refused nothing.
type Withdrawn struct {
	// There is whether the instance, or a claim for it, is at the host, or shown by
	// another one.
	There bool `json:"there,omitempty"`
	// Refused is whether the host refuses the attempt, and all before it, for good.
	Refused bool `json:"refused,omitempty"`
}
