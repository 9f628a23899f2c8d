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
	// Alive is a sign of life: when the copy was last written, or a little before.
	Alive time.Time `json:"alive,omitzero"`
}

// SeenMachine is a machine and when it was last seen to change.
type SeenMachine struct {
	drivers.Machine
	At time.Time
	// DownSince is when one that does not run was seen to stop, and Halted says
	// that an operator stopped it and nobody started it since.
	DownSince time.Time `json:"down_since,omitzero"`
	Halted    bool      `json:"halted,omitempty"`
}

// seenHostKey is the host's entry in the bucket of machines, whose keys are
// ids of 16 bytes.
var seenHostKey = []byte("host")

// SaveSeen replaces the copy, writing only what differs, and nothing where
// nothing does: a commit costs two waits for the disk, whatever is in it.
func (j *Journal) SaveSeen(s Seen) error {
	values, err := s.encode()
	if err != nil {
		return fmt.Errorf("encode what was last seen: %w", err)
	}
	var put, stale [][]byte
	err = j.db.View(func(tx *bbolt.Tx) (err error) {
		put, stale, err = differences(tx.Bucket(seenBucket), values)
		return err
	})
	if err != nil || len(put)+len(stale) == 0 {
		return err
	}
	return j.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(seenBucket)
		for _, key := range put {
			if err := b.Put(key, values[string(key)]); err != nil {
				return err
			}
		}
		for _, key := range stale {
			if err := b.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// encode returns the entries of the bucket, by key.
func (s *Seen) encode() (map[string][]byte, error) {
	values := make(map[string][]byte, 1+len(s.Machines))
	var err error
	if values[string(seenHostKey)], err = json.Marshal(s.Host); err != nil {
		return nil, err
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		if values[string(idKey(m.ID))], err = json.Marshal(m); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// differences returns the keys of values that the bucket holds otherwise or not
// at all, and those that it holds beside them.
func differences(b *bbolt.Bucket, values map[string][]byte) (put, stale [][]byte, err error) {
	for key, value := range values {
		if !bytes.Equal(value, b.Get([]byte(key))) {
			put = append(put, []byte(key))
		}
	}
	err = b.ForEach(func(key, _ []byte) error {
		if _, kept := values[string(key)]; !kept {
			stale = append(stale, bytes.Clone(key))
		}
		return nil
	})
	return put, stale, err
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
