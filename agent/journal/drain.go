package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"grapevine/fleet"
)

// drainKey is where the meta bucket has the drain of the host.
var drainKey = []byte("drain")

// Drain is how this host is being emptied, or brought back. Its zero value is
// that of a host that never was.
type Drain struct {
	fleet.DrainRequest
	Phase     fleet.DrainPhase `json:"phase"`
	StartedAt time.Time        `json:"started_at"`
	Machines  []Drained        `json:"machines"`
}

// Drained is a machine that the drain has done something about.
type Drained struct {
	Instance fleet.InstanceID `json:"instance"`
	// Asked: the drain was about to stop the machine, which ran. It is written
	// before anything is done, so that what is stopped is always known.
	Asked bool `json:"asked"`
	// Outcome and Detail are as in fleet.DrainMachine.
	Outcome string `json:"outcome,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Machine returns what is noted of a machine; nil for nothing.
func (d *Drain) Machine(id fleet.InstanceID) *Drained {
	for i := range d.Machines {
		if d.Machines[i].Instance == id {
			return &d.Machines[i]
		}
	}
	return nil
}

// Clone returns a copy that shares nothing with d.
func (d *Drain) Clone() Drain {
	c := *d
	c.Machines = slices.Clone(d.Machines)
	return c
}

// Drain returns the drain of the host, zero where there is none.
func (j *Journal) Drain() (Drain, error) {
	var d Drain
	err := j.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(metaBucket).Get(drainKey)
		if data == nil {
			return nil
		}
		if err := json.Unmarshal(data, &d); err != nil {
			return fmt.Errorf("read the host's drain: %w", err)
		}
		return nil
	})
	return d, err
}

// SetDrain writes the drain and what the host is from now on, at once; an empty
// state leaves that as it is.
func (j *Journal) SetDrain(d Drain, state fleet.HostState) error {
	return j.update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if state != "" {
			if err := meta.Put([]byte("host_state"), []byte(state)); err != nil {
				return err
			}
		}
		return putJSON(meta, drainKey, d)
	})
}
