package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Seen is a copy of what the hypervisor last said, for an agent that starts
// while the hypervisor does not answer: better a dated row than none. It is
// never taken for the present. What an operation made is in it before its
// claim is dropped; the rest may be a moment old.
type Seen struct {
	Host     SeenHost
	Machines []SeenMachine
}

// SeenHost is what the hypervisor last said of the host.
type SeenHost struct {
	Description drivers.Description `json:"description"`
	Images      []fleet.Image       `json:"images"`
}

// SeenMachine is a machine and when it was last seen to change.
type SeenMachine struct {
	drivers.Machine
	At time.Time
}

// seenHostKey is the host's entry in the bucket of machines, whose keys are
// ids of 16 bytes.
var seenHostKey = []byte("host")

// SaveSeen replaces the copy, writing only what differs.
func (j *Journal) SaveSeen(s Seen) error {
	return j.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(seenBucket)
		if err := putChanged(b, seenHostKey, s.Host); err != nil {
			return err
		}
		kept := map[fleet.InstanceID]bool{}
		for _, m := range s.Machines {
			kept[m.ID] = true
			if err := putChanged(b, idKey(m.ID), m); err != nil {
				return err
			}
		}
		return deleteWhere(b, func(key []byte) bool {
			id, err := fleet.UUIDFromBytes(key)
			return err == nil && !kept[id]
		})
	})
}

// putChanged writes a value if it differs from what is there.
func putChanged(b *bbolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil || bytes.Equal(data, b.Get(key)) {
		return err
	}
	return b.Put(key, data)
}

// deleteWhere deletes the keys that match.
func deleteWhere(b *bbolt.Bucket, match func(key []byte) bool) error {
	var keys [][]byte
	if err := b.ForEach(func(key, _ []byte) error {
		if match(key) {
			keys = append(keys, bytes.Clone(key))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, key := range keys {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// Seen returns the copy; false when there is none.
func (j *Journal) Seen() (Seen, bool, error) {
	var s Seen
	var found bool
	err := j.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(seenBucket).ForEach(func(key, data []byte) error {
			if bytes.Equal(key, seenHostKey) {
				found = true
				return json.Unmarshal(data, &s.Host)
			}
			var m SeenMachine
			err := json.Unmarshal(data, &m)
			s.Machines = append(s.Machines, m)
			return err
		})
	})
	if err != nil {
		return Seen{}, false, fmt.Errorf("read what was last seen: %w", err)
	}
	return s, found, nil
}
