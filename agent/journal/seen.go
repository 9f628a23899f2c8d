package journal

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Seen is a copy of what the hypervisor last said, for an agent that starts
// while the hypervisor does not answer: better a dated row than none. It is
// never taken for the present, and is the one thing here that may be a moment
// old.
type Seen struct {
	Description drivers.Description `json:"description"`
	Machines    []SeenMachine       `json:"machines"`
	Images      []fleet.Image       `json:"images"`
}

// SeenMachine is a machine and when it was last seen to change.
type SeenMachine struct {
	drivers.Machine
	At time.Time
}

var seenKey = []byte("seen")

// SaveSeen replaces the copy.
func (j *Journal) SaveSeen(s Seen) error {
	return j.update(func(tx *bbolt.Tx) error { return putJSON(tx.Bucket(metaBucket), seenKey, s) })
}

// Seen returns the copy; false when there is none.
func (j *Journal) Seen() (Seen, bool, error) {
	var s Seen
	var found bool
	err := j.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(metaBucket).Get(seenKey)
		if data == nil {
			return nil
		}
		found = true
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("read what was last seen: %w", err)
		}
		return nil
	})
	return s, found, err
}
