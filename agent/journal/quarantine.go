package journal

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"grapevine/agent/quarantine"
)

var quarantineKey = []byte("quarantine")

// Quarantine returns how the host's return was last judged; the zero state where
// it never was.
func (j *Journal) Quarantine() (quarantine.State, error) {
	var s quarantine.State
	err := j.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(metaBucket).Get(quarantineKey)
		if data == nil {
			return nil
		}
		return json.Unmarshal(data, &s)
	})
	if err != nil {
		return s, fmt.Errorf("read the state of the quarantine: %w", err)
	}
	return s, nil
}

// SetQuarantine writes how the host's return is judged.
func (j *Journal) SetQuarantine(s quarantine.State) error {
	return j.update(func(tx *bbolt.Tx) error { return putJSON(tx.Bucket(metaBucket), quarantineKey, &s) })
}
