package journal

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"grapevine/agent/witness"
	"grapevine/fleet"
)

// officeKey has the witness's office in the bucket of what it grants; keys are
// 16 bytes.
var officeKey = []byte("office")

// Office returns what this agent knows as a witness.
func (j *Journal) Office() (o witness.Office, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		o, err = readOffice(tx)
		return err
	})
	return o, err
}

func readOffice(tx *bbolt.Tx) (o witness.Office, err error) {
	if data := tx.Bucket(witnessBucket).Get(officeKey); data != nil {
		if err := json.Unmarshal(data, &o); err != nil {
			return o, fmt.Errorf("read the witness's office: %w", err)
		}
	}
	return o, nil
}

// ChangeOffice changes what the agent knows as a witness, and returns it. Change
// may be called more than once, and says whether there is anything to write.
func (j *Journal) ChangeOffice(change func(o *witness.Office) bool) (out witness.Office, err error) {
	err = j.update(func(tx *bbolt.Tx) error {
		o, err := readOffice(tx)
		if err != nil {
			return err
		}
		if change(&o) {
			if err := putJSON(tx.Bucket(witnessBucket), officeKey, o); err != nil {
				return err
			}
		}
		out = o
		return nil
	})
	return out, err
}

// JudgeGrant lets judge answer a question about a key, with the office and the
// entry as they are in the journal, and writes the entry that it returns before
// JudgeGrant returns. Judge may be called more than once: the last call counts.
func (j *Journal) JudgeGrant(key fleet.UUID, judge func(witness.Office, fleet.GrantEntry) (fleet.GrantEntry, bool)) error {
	written := false
	look := func(tx *bbolt.Tx) error {
		o, err := readOffice(tx)
		if err != nil {
			return err
		}
		held, err := readEntry(tx, key)
		if err != nil {
			return err
		}
		next, write := judge(o, held)
		if written = write; write && tx.Writable() {
			return putJSON(tx.Bucket(witnessBucket), idKey(key), next)
		}
		return nil
	}
	// Most that is not written was refused, or asked twice: no fsync is due then.
	if err := j.db.View(look); err != nil || !written {
		return err
	}
	return j.update(look)
}

func readEntry(tx *bbolt.Tx, key fleet.UUID) (e fleet.GrantEntry, err error) {
	if data := tx.Bucket(witnessBucket).Get(idKey(key)); data != nil {
		if err := json.Unmarshal(data, &e); err != nil {
			return e, fmt.Errorf("read grant %s: %w", key, err)
		}
	}
	return e, nil
}

// GrantPage returns up to limit entries after a key, in the order of keys, with
// the office as it is at that moment.
func (j *Journal) GrantPage(after fleet.UUID, limit int) (page fleet.GrantPage, o witness.Office, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		if o, err = readOffice(tx); err != nil {
			return err
		}
		page.Number, page.Floor = o.Set.Number, o.Floor
		c := tx.Bucket(witnessBucket).Cursor()
		for k, data := c.Seek(idKey(after)); k != nil; k, data = c.Next() {
			if bytes.Equal(k, officeKey) || bytes.Equal(k, idKey(after)) {
				continue
			}
			if len(page.Entries) == limit {
				page.More = true
				return nil
			}
			var e fleet.GrantEntry
			if err := json.Unmarshal(data, &e); err != nil {
				return fmt.Errorf("read grant %x: %w", k, err)
			}
			page.Entries = append(page.Entries, e)
		}
		return nil
	})
	return page, o, err
}

// CountGrants returns of how many keys there is an entry.
func (j *Journal) CountGrants() (n int, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(witnessBucket)
		if n = b.Stats().KeyN; b.Get(officeKey) != nil {
			n--
		}
		return nil
	})
	return n, err
}

// LearnGrants merges a part of what another witness has.
func (j *Journal) LearnGrants(page fleet.GrantPage) error {
	return j.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(witnessBucket)
		for _, other := range page.Entries {
			held, err := readEntry(tx, other.Key)
			if err != nil {
				return err
			}
			if next, more := witness.Merge(held, other); more {
				if err := putJSON(b, idKey(other.Key), next); err != nil {
					return err
				}
			}
		}
		o, err := readOffice(tx)
		if err != nil || o.Floor >= page.Floor {
			return err
		}
		o.Floor = page.Floor
		return putJSON(b, officeKey, o)
	})
}

// DropGrant forgets a key if its entry is still this one, and raises the floor
// over it.
func (j *Journal) DropGrant(e fleet.GrantEntry) error {
	return j.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(witnessBucket)
		held, err := readEntry(tx, e.Key)
		if err != nil || held.Promised != e.Promised || held.Accepted != e.Accepted {
			return err
		}
		o, err := readOffice(tx)
		if err != nil {
			return err
		}
		o.Drop(e)
		if err := b.Delete(idKey(e.Key)); err != nil {
			return err
		}
		return putJSON(b, officeKey, o)
	})
}

// Follows returns the number of the witness set since which the agent is the
// home of no keys, 0 while it is.
func (j *Journal) Follows() (number uint64, err error) {
	err = j.db.View(func(tx *bbolt.Tx) error {
		number = getUint(tx.Bucket(metaBucket), "follows")
		return nil
	})
	return number, err
}

// SetFollows writes it.
func (j *Journal) SetFollows(number uint64) error {
	return j.update(func(tx *bbolt.Tx) error { return putUint(tx.Bucket(metaBucket), "follows", number) })
}
