package journal

import (
	"go.etcd.io/bbolt"

	"grapevine/agent/homes"
	"grapevine/fleet"
)

// PutKeys writes records of keys that this agent is home of.
func (j *Journal) PutKeys(entries ...homes.Entry) error {
	return j.update(func(tx *bbolt.Tx) error {
		for _, e := range entries {
			if err := putJSON(tx.Bucket(keysBucket), idKey(e.ID()), e); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropKeys removes records.
func (j *Journal) DropKeys(keys ...fleet.UUID) error {
	return j.update(func(tx *bbolt.Tx) error {
		for _, key := range keys {
			if err := tx.Bucket(keysBucket).Delete(idKey(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Keys returns every record.
func (j *Journal) Keys() ([]homes.Entry, error) { return each[homes.Entry](j, keysBucket) }
