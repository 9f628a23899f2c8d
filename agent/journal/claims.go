package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"grapevine/agent/ledger"
	"grapevine/drivers"
	"grapevine/fleet"
)

// Operation is an operation with what is needed to take it up again.
type Operation struct {
	fleet.Operation
	// Force is set for an action that skips the guest's own shutdown.
	Force bool `json:"force,omitempty"`
	// Grace is how long a guest may take to shut down, 0 for what is configured;
	// with Leave, one that takes longer is left as it is.
	Grace time.Duration `json:"grace,omitempty"`
	Leave bool          `json:"leave,omitempty"`
	// Snapshot is the name of the snapshot that the operation is about, Device the
	// device, and Size what the machine is to get; Mark is what it is to carry
	// afterwards, where the operation changes that.
	Snapshot string              `json:"snapshot,omitempty"`
	Device   *drivers.Attachment `json:"device,omitempty"`
	Size     *fleet.Resources    `json:"size,omitempty"`
	Mark     *drivers.Mark       `json:"mark,omitempty"`
	// Guest is what cloud-init is to find, nil for what it found before, and Power
	// what the machine is brought back to.
	Guest *fleet.Guest `json:"guest,omitempty"`
	Power fleet.Power  `json:"power,omitempty"`
	// Key and KeyHash are those of the request that asked for it, where it had a
	// key: the same request is answered with this operation.
	Key     string `json:"key,omitempty"`
	KeyHash string `json:"key_hash,omitempty"`
	// RequestHash, of a delete, is that of the create that the instance came
	// from: once the machine is gone nothing else remembers it.
	RequestHash string `json:"request_hash,omitempty"`
	// Moving is the instance's way to another host, or here from one.
	Moving *Moving `json:"moving,omitempty"`
	// URL is what a download is to bring.
	URL *fleet.ImportURL `json:"url,omitempty"`
}

// Refusal is a proposal that the host has refused for good.
type Refusal struct {
	Instance fleet.InstanceID `json:"instance"`
	Attempt  uint32           `json:"attempt"`
	At       time.Time        `json:"at"` // this host's wall clock, compared with itself only
}

// Deletion is an instance that was deleted here, kept so that a late retry of
// its create is not taken for a new one.
type Deletion struct {
	Instance    fleet.InstanceID `json:"instance"`
	RequestHash string           `json:"request_hash"`
	At          time.Time        `json:"at"` // this host's wall clock, compared with itself only
	// To is the host that has it now, of one that was moved away.
	To fleet.HostID `json:"to,omitzero"`
}

// Begin writes an operation before it starts, and with it the claim that it is
// to build, nil for the others. Both are there or neither is.
func (j *Journal) Begin(op Operation, claim *ledger.Claim) error {
	return j.update(func(tx *bbolt.Tx) error {
		if claim != nil {
			if err := putJSON(tx.Bucket(claimsBucket), idKey(claim.ID()), claim); err != nil {
				return err
			}
		}
		return putOperation(tx, op)
	})
}

// Step writes what an operation is about to do that must not be done twice.
func (j *Journal) Step(op Operation) error {
	return j.update(func(tx *bbolt.Tx) error { return putOperation(tx, op) })
}

// Outcome says what becomes of the claim when an operation ends.
type Outcome struct {
	// Release drops the instance's claim.
	Release bool
	// Fault keeps the claim, to show why the build failed.
	Fault string
	// Seen is the machine as a look after the operation showed it; nil when it
	// was not there. It is copied with the end, so that the host's account of
	// itself is whole at every moment.
	Seen *SeenMachine
	// Deleted is set when the instance is gone for good.
	Deleted *Deletion
	// Arrived is set when another host's instance is this one's from now on: that
	// it was here before, and went, is forgotten.
	Arrived bool
}

// End writes the end of an operation and of what hung on it, at once.
func (j *Journal) End(op Operation, out Outcome) error {
	return j.update(func(tx *bbolt.Tx) error {
		claims := tx.Bucket(claimsBucket)
		key := idKey(op.Instance)
		if held := claims.Get(key); held != nil && out.Fault != "" {
			var c ledger.Claim
			if err := json.Unmarshal(held, &c); err != nil {
				return fmt.Errorf("read claim %s: %w", op.Instance, err)
			}
			c.Fault = out.Fault
			if err := putJSON(claims, key, &c); err != nil {
				return err
			}
		}
		if out.Release {
			if err := claims.Delete(key); err != nil {
				return err
			}
		}
		if out.Seen != nil {
			if err := putJSON(tx.Bucket(seenBucket), key, out.Seen); err != nil {
				return err
			}
		}
		if out.Arrived {
			if err := tx.Bucket(deletionsBucket).Delete(key); err != nil {
				return err
			}
		}
		if out.Deleted != nil {
			if err := tx.Bucket(seenBucket).Delete(key); err != nil {
				return err
			}
			if err := putJSON(tx.Bucket(deletionsBucket), key, out.Deleted); err != nil {
				return err
			}
		}
		return putOperation(tx, op)
	})
}

// Refuse writes that a proposal was refused for good, and with it all earlier
// ones: what was refused under a later attempt stays so.
func (j *Journal) Refuse(r Refusal) error {
	return j.update(func(tx *bbolt.Tx) error {
		var held Refusal
		if data := tx.Bucket(refusalsBucket).Get(idKey(r.Instance)); data != nil && json.Unmarshal(data, &held) == nil {
			r.Attempt = max(r.Attempt, held.Attempt)
		}
		return putJSON(tx.Bucket(refusalsBucket), idKey(r.Instance), r)
	})
}

// LastOperation returns the highest number that an operation of this host has
// had, pruned ones included.
func (j *Journal) LastOperation() (uint64, error) {
	var n uint64
	err := j.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(operationsBucket).Sequence()
		return nil
	})
	return n, err
}

// Claims returns every claim.
func (j *Journal) Claims() ([]ledger.Claim, error) { return each[ledger.Claim](j, claimsBucket) }

// Refusals returns every refusal.
func (j *Journal) Refusals() ([]Refusal, error) { return each[Refusal](j, refusalsBucket) }

// Deletions returns every deletion.
func (j *Journal) Deletions() ([]Deletion, error) { return each[Deletion](j, deletionsBucket) }

// Operations returns every operation that is kept, oldest first.
func (j *Journal) Operations() ([]Operation, error) { return each[Operation](j, operationsBucket) }

// Operation returns one operation; false when it is not kept.
func (j *Journal) Operation(n uint64) (Operation, bool, error) {
	var op Operation
	var found bool
	err := j.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(operationsBucket).Get(numberKey(n))
		if data == nil {
			return nil
		}
		found = true
		return json.Unmarshal(data, &op)
	})
	return op, found, err
}

func putOperation(tx *bbolt.Tx, op Operation) error {
	_, n, err := fleet.ParseOperationID(op.ID)
	if err != nil {
		return err
	}
	b := tx.Bucket(operationsBucket)
	if n > b.Sequence() {
		if err := b.SetSequence(n); err != nil {
			return err
		}
	}
	return putJSON(b, numberKey(n), op)
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
