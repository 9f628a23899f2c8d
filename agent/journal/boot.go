package journal

import (
	"encoding/binary"

	"go.etcd.io/bbolt"

	"grapevine/fleet"
)

var bootKey = []byte("boot")

// Boot is the boot of the host that was last seen, and what is still to be
// started after it.
type Boot struct {
	ID     string             // empty: none was seen
	Starts []fleet.InstanceID // in order
}

// Boot returns the boot that was last seen.
func (j *Journal) Boot() (Boot, error) {
	var b Boot
	err := j.db.View(func(tx *bbolt.Tx) error {
		b.ID = string(tx.Bucket(metaBucket).Get(bootKey))
		return tx.Bucket(startsBucket).ForEach(func(_, value []byte) error {
			id, err := fleet.UUIDFromBytes(value)
			b.Starts = append(b.Starts, id)
			return err
		})
	})
	return b, err
}

// BeginBoot writes that the host was booted, and what is to be started after it,
// at once: it is worked out from what was seen before, which is overwritten next.
func (j *Journal) BeginBoot(b Boot) error {
	return j.update(func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket(startsBucket); err != nil {
			return err
		}
		starts, err := tx.CreateBucket(startsBucket)
		if err != nil {
			return err
		}
		for i, id := range b.Starts {
			if err := starts.Put(binary.BigEndian.AppendUint32(nil, uint32(i)), idKey(id)); err != nil { // bounded by fleet.MaxRows
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(bootKey, []byte(b.ID))
	})
}

// EndStart writes that a machine is not to be started any more.
func (j *Journal) EndStart(id fleet.InstanceID) error {
	return j.update(func(tx *bbolt.Tx) error {
		starts := tx.Bucket(startsBucket)
		var keys [][]byte
		err := starts.ForEach(func(key, value []byte) error {
			if string(value) == string(id[:]) {
				keys = append(keys, append([]byte(nil), key...))
			}
			return nil
		})
		for _, key := range keys {
			if err == nil {
				err = starts.Delete(key)
			}
		}
		return err
	})
}
