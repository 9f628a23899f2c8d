package fleet

import (
	"cmp"
	"fmt"
	"time"
)

// DrainMode says what becomes of the machines of a host that is to be emptied.
type DrainMode string

// The modes: DrainWait takes no new instances and waits until the machines have
// been stopped by others, DrainStop shuts them down.
const (
	DrainWait DrainMode = "wait"
	DrainStop DrainMode = "stop"
)

// DefaultDrainDeadline is how long a guest may take to shut down where nothing
// is said, and MaxDrainDeadline the most that can be said.
const (
	DefaultDrainDeadline = 5 * time.Minute
	MaxDrainDeadline     = 24 * time.Hour
)

// DrainRequest is how a host is to be emptied.
type DrainRequest struct {
	Mode DrainMode `json:"mode" enum:"wait,stop" doc:"wait: take no new instances and wait until others have stopped those there are; stop: shut them down"`
	// DeadlineMS is how long each guest may take; 0 means DefaultDrainDeadline.
	DeadlineMS int64 `json:"deadline_ms,omitempty" doc:"with stop: how many milliseconds a guest may take to shut down; 300000 when left out"`
	// Force pulls the plug of a guest that takes longer, and of one that cannot be
	// asked; without it they are left as they are.
	Force bool `json:"force,omitempty" doc:"with stop: pull the plug of a guest that takes longer or cannot be asked, instead of leaving it as it is"`
}

// Deadline returns how long a guest may take.
func (r *DrainRequest) Deadline() time.Duration {
	return cmp.Or(time.Duration(r.DeadlineMS)*time.Millisecond, DefaultDrainDeadline)
}

// Validate judges what a person sent.
func (r *DrainRequest) Validate() error {
	switch {
	case r.Mode != DrainWait && r.Mode != DrainStop:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("mode %.40q is not one of wait, stop", string(r.Mode))}
	case r.DeadlineMS < 0 || r.Deadline() > MaxDrainDeadline:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("deadline_ms is %d; it must be 1 to %d, a day", r.DeadlineMS, MaxDrainDeadline.Milliseconds())}
	case r.Mode == DrainWait && (r.Force || r.DeadlineMS != 0):
		return &Error{Code: CodeInvalid, Detail: "force and deadline_ms belong to the mode stop; leave them out, or stop the machines"}
	default:
		return nil
	}
}

// DrainPhase is how far a host is with it.
type DrainPhase string

// The phases. A host that is neither drained nor brought back shows a plan.
const (
	DrainPlanned   DrainPhase = "planned"
	DrainGoing     DrainPhase = "draining"
	DrainDone      DrainPhase = "drained"
	DrainRestoring DrainPhase = "restoring"
	DrainRestored  DrainPhase = "restored"
)

// Drain is what would become, becomes or became of each machine of a host.
type Drain struct {
	Host     HostID     `json:"host"`
	HostName string     `json:"host_name"`
	Phase    DrainPhase `json:"phase"`
	DrainRequest
	StartedAt *time.Time     `json:"started_at,omitempty"` // host's wall clock, for people only
	Machines  []DrainMachine `json:"machines"`
	// Remaining counts the machines that are up, foreign ones included.
	Remaining int     `json:"remaining"`
	Version   Version `json:"version"`
}

// DrainStep is what is done to a machine.
type DrainStep string

// The steps.
const (
	DrainNothing  DrainStep = "nothing"  // it is down
	DrainShutDown DrainStep = "shutdown" // the guest is asked
	DrainForce    DrainStep = "force"    // the guest cannot be asked
	DrainWaits    DrainStep = "wait"     // others stop it
	DrainRemains  DrainStep = "remains"  // nothing is done to it, and it stays up
	DrainStart    DrainStep = "start"    // the drain stopped it, and it is started again
)

// DrainMachine is one machine of a host that is drained.
type DrainMachine struct {
	Instance  InstanceID `json:"instance"`
	Name      string     `json:"name"`
	Ownership Ownership  `json:"ownership"`
	Power     Power      `json:"power"`
	Task      Task       `json:"task"`
	Step      DrainStep  `json:"step"`
	// Outcome is what has come of it in a word: stopped, left, failed, started;
	// empty while nothing has.
	Outcome string `json:"outcome,omitempty"`
	// Detail is one sentence: why it remains, or what went wrong.
	Detail string `json:"detail,omitempty"`
	// Remains: it is up.
	Remains bool `json:"remains"`
}
