package journal

import (
	"fmt"

	"go.etcd.io/bbolt"

	"grapevine/fleet"
)

// Host is who this journal belongs to.
type Host struct {
	ID fleet.HostID
	// Hardware is the machine's fingerprint when the journal was first bound to
	// it; empty until the hypervisor has been asked.
	Hardware string
	State    fleet.HostState
}

// Host returns the host that the journal is bound to; a zero ID when none.
func (j *Journal) Host() (Host, error) {
	var h Host
	err := j.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if id := meta.Get([]byte("host_id")); id != nil {
			var err error
			if h.ID, err = fleet.UUIDFromBytes(id); err != nil {
				return fmt.Errorf("read the journal's host id: %w", err)
			}
		}
		h.Hardware = string(meta.Get([]byte("hardware")))
		h.State = fleet.HostState(meta.Get([]byte("host_state")))
		return nil
	})
	if h.State == "" {
		h.State = fleet.HostOK
	}
	return h, err
}

// BindHost writes who the host is.
func (j *Journal) BindHost(id fleet.HostID, hardware string) error {
	return j.update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if err := meta.Put([]byte("host_id"), idKey(id)); err != nil {
			return err
		}
		return meta.Put([]byte("hardware"), []byte(hardware))
	})
}

// SetHostState writes what the operator wants of the host.
func (j *Journal) SetHostState(state fleet.HostState) error {
	return j.update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put([]byte("host_state"), []byte(state))
	})
}

// LoadEpoch returns the last epoch and incarnation that were stored, zeros at
// first.
func (j *Journal) LoadEpoch() (epoch, incarnation uint64, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		epoch, incarnation = getUint(meta, "epoch"), getUint(meta, "incarnation")
		return nil
	})
	return epoch, incarnation, err
}

// StoreEpoch makes an epoch durable, before anything is published under it.
func (j *Journal) StoreEpoch(epoch, incarnation uint64) error {
	return j.update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if held := getUint(meta, "epoch"); held > epoch {
			return fmt.Errorf("epoch %d is older than %d, which is already stored", epoch, held)
		}
		if err := putUint(meta, "epoch", epoch); err != nil {
			return err
		}
		return putUint(meta, "incarnation", incarnation)
	})
}
