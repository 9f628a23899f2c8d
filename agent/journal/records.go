package journal

import (
	"go.etcd.io/bbolt"

	"grapevine/agent/records"
	"grapevine/fleet"
)

// PutRecords writes facts that no host owns and this agent holds.
func (j *Journal) PutRecords(held ...records.Held) error {
	return j.update(func(tx *bbolt.Tx) error {
		for _, h := range held {
			if err := putJSON(tx.Bucket(recordsBucket), idKey(h.ID), h); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropRecords removes them.
func (j *Journal) DropRecords(ids ...fleet.RecordID) error {
	return j.update(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			if err := tx.Bucket(recordsBucket).Delete(idKey(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Records returns all that is held.
func (j *Journal) Records() ([]records.Held, error) { return each[records.Held](j, recordsBucket) }
