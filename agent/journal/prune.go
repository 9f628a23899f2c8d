package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"grapevine/fleet"
)

// Pruned says which ids are remembered no more.
type Pruned struct {
	Operations int
	Refusals   []fleet.InstanceID
	Deletions  []fleet.InstanceID
}

// Prune drops ended operations, refusals and deletions from before then. A day
// of them is looked through without holding up a promise: only what is dropped
// is written, and where nothing is, nothing is.
func (j *Journal) Prune(before time.Time) (Pruned, error) {
	operations := &sweep{bucket: operationsBucket, old: decoded(func(op Operation) bool {
		return op.EndedAt != nil && op.EndedAt.Before(before) && !op.Unsettled()
	})}
	refusals := &sweep{bucket: refusalsBucket, old: decoded(func(r Refusal) bool { return r.At.Before(before) })}
	deletions := &sweep{bucket: deletionsBucket, old: decoded(func(d Deletion) bool { return d.At.Before(before) })}
	all := []*sweep{operations, refusals, deletions}

	found := 0
	err := j.db.View(func(tx *bbolt.Tx) error {
		for _, s := range all {
			if err := s.find(tx); err != nil {
				return err
			}
			found += len(s.keys)
		}
		return nil
	})
	if err == nil && found > 0 {
		err = j.db.Update(func(tx *bbolt.Tx) error {
			for _, s := range all {
				if err := s.drop(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return Pruned{}, fmt.Errorf("prune journal: %w", err)
	}
	return Pruned{Operations: len(operations.dropped), Refusals: ids(refusals.dropped), Deletions: ids(deletions.dropped)}, nil
}

// sweep drops what is old in one bucket.
type sweep struct {
	bucket        []byte
	old           func(data []byte) bool
	keys, dropped [][]byte
}

// decoded judges entries of type T. One that cannot be read is not known to be
// old, and stays.
func decoded[T any](old func(T) bool) func([]byte) bool {
	return func(data []byte) bool {
		var v T
		return json.Unmarshal(data, &v) == nil && old(v)
	}
}

func (s *sweep) find(tx *bbolt.Tx) error {
	return tx.Bucket(s.bucket).ForEach(func(key, data []byte) error {
		if s.old(data) {
			s.keys = append(s.keys, bytes.Clone(key))
		}
		return nil
	})
}

// drop deletes what was found, unless it was written anew since.
func (s *sweep) drop(tx *bbolt.Tx) error {
	b := tx.Bucket(s.bucket)
	for _, key := range s.keys {
		data := b.Get(key)
		if data == nil || !s.old(data) {
			continue
		}
		if err := b.Delete(key); err != nil {
			return err
		}
		s.dropped = append(s.dropped, key)
	}
	return nil
}

// ids reads the keys of buckets that are by instance.
func ids(keys [][]byte) []fleet.InstanceID {
	var out []fleet.InstanceID
	for _, key := range keys {
		if id, err := fleet.UUIDFromBytes(key); err == nil {
			out = append(out, id)
		}
	}
	return out
}
