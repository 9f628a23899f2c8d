package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"grapevine/agent/audit"
	"grapevine/fleet"
)

// The log lies in the journal, since what is promised and the entry that tells of
// it are then written together: one without the other cannot be, and it costs no
// wait for the disk. An entry cannot be torn either.

// auditBucket has the entries by number; what was dropped last, and how many bytes
// there are, is in meta.
var auditBucket = []byte("audit")

const (
	auditBeginKey = "audit_begin"
	auditBytesKey = "audit_bytes"
	// auditDrops is how many entries are dropped for one that is written, where there
	// are too many bytes: the log shrinks then, and no write takes long.
	auditDrops = 4
)

// auditLog is what all who write the audit log of one journal share.
type auditLog struct {
	limit uint64 // in bytes
	head  atomic.Pointer[fleet.AuditLink]
}

// Note is an entry that is to be written with the next write made on its behalf.
// Its fields may be filled in until then.
type Note struct {
	Entry fleet.AuditEntry

	of      *Note         // that it is further to, nil for none
	taken   atomic.Bool   // by a write
	written atomic.Uint64 // the number that it got, 0 for none yet
}

// Written returns the number of the entry in the log, 0 where it is not there.
func (n *Note) Written() uint64 { return n.written.Load() }

// Further returns a note with the same entry, for one more thing that the same
// request began.
func (n *Note) Further() *Note { return &Note{Entry: n.Entry, of: n} }

// Carrying returns the journal as it is used on behalf of a request: the first
// write that goes through carries the note. A nil note is none.
func (j *Journal) Carrying(n *Note) *Journal {
	if n == nil {
		return j
	}
	carrying := *j
	carrying.note = n
	return &carrying
}

// withNote has the note's entry written in the same transaction.
func (j *Journal) withNote(fn func(*bbolt.Tx) error, link *fleet.AuditLink) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		var err error
		*link, err = j.appendAudit(tx, j.note.Entry)
		return err
	}
}

// Audit writes entries of their own, and returns the name of the last.
func (j *Journal) Audit(entries ...fleet.AuditEntry) (fleet.AuditLink, error) {
	var last fleet.AuditLink
	err := j.update(func(tx *bbolt.Tx) error {
		for _, e := range entries {
			var err error
			if last, err = j.appendAudit(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		j.audit.raise(last)
	}
	return last, err
}

// WriteNote writes a note by itself.
func (j *Journal) WriteNote(n *Note) error {
	return j.Carrying(n).update(func(*bbolt.Tx) error { return nil })
}

// raise keeps the newest head. Transactions are over in the order of their
// entries, but not those who wait for them.
func (a *auditLog) raise(link fleet.AuditLink) {
	for {
		held := a.head.Load()
		if held.Number >= link.Number || a.head.CompareAndSwap(held, &link) {
			return
		}
	}
}

// AuditHead returns the newest entry that is durable. It does not block.
func (j *Journal) AuditHead() fleet.AuditLink { return *j.audit.head.Load() }

func (j *Journal) appendAudit(tx *bbolt.Tx, e fleet.AuditEntry) (fleet.AuditLink, error) {
	b, meta := tx.Bucket(auditBucket), tx.Bucket(metaBucket)
	last, err := newestAudit(tx)
	if err != nil {
		return fleet.AuditLink{}, err
	}
	e = audit.Join(last, e)
	text, err := json.Marshal(e)
	if err != nil {
		return fleet.AuditLink{}, err
	}
	b.FillPercent = 1 // entries come in order, and none is put between
	if err := b.Put(numberKey(e.Number), text); err != nil {
		return fleet.AuditLink{}, err
	}
	return e.Link(), j.boundAudit(b, meta, getUint(meta, auditBytesKey)+uint64(len(text)))
}

// boundAudit drops the oldest entries of a log that has grown too large, and
// keeps the name of the last one that it dropped.
func (j *Journal) boundAudit(b, meta *bbolt.Bucket, bytes uint64) error {
	for range auditDrops {
		if bytes <= j.audit.limit {
			break
		}
		key, text := b.Cursor().First()
		var oldest fleet.AuditEntry
		if err := json.Unmarshal(text, &oldest); err != nil {
			return fmt.Errorf("read audit entry %x: %w", key, err)
		}
		bytes -= min(bytes, uint64(len(text)))
		if err := b.Delete(key); err != nil {
			return err
		}
		if err := putJSON(meta, []byte(auditBeginKey), oldest.Link()); err != nil {
			return err
		}
	}
	return putUint(meta, auditBytesKey, bytes)
}

// newestAudit returns the name of the newest entry, or of the last that was
// dropped where there is none.
func newestAudit(tx *bbolt.Tx) (fleet.AuditLink, error) {
	if _, text := tx.Bucket(auditBucket).Cursor().Last(); text != nil {
		var e fleet.AuditEntry
		if err := json.Unmarshal(text, &e); err != nil {
			return fleet.AuditLink{}, fmt.Errorf("read the newest audit entry: %w", err)
		}
		return e.Link(), nil
	}
	return oldestAudit(tx)
}

func oldestAudit(tx *bbolt.Tx) (link fleet.AuditLink, err error) {
	if text := tx.Bucket(metaBucket).Get([]byte(auditBeginKey)); text != nil {
		err = json.Unmarshal(text, &link)
	}
	return link, err
}

// AuditPage returns the entries that a query asks for, with the log's two ends as
// they are at the same moment.
func (j *Journal) AuditPage(q fleet.AuditQuery) (fleet.AuditPage, error) {
	page := fleet.AuditPage{Items: []fleet.AuditEntry{}}
	limit := fleet.MaxAuditPage
	if q.Limit > 0 {
		limit = min(q.Limit, limit)
	}
	err := j.db.View(func(tx *bbolt.Tx) error {
		var err error
		if page.Begin, err = oldestAudit(tx); err != nil {
			return err
		}
		if page.Head, err = newestAudit(tx); err != nil {
			return err
		}
		first, step := auditWay(tx.Bucket(auditBucket).Cursor(), &q)
		for key, text := first(); key != nil; key, text = step() {
			if len(page.Items) == limit {
				page.Next = page.Items[limit-1].Number
				return nil
			}
			var e fleet.AuditEntry
			if err := json.Unmarshal(text, &e); err != nil {
				return fmt.Errorf("read audit entry %x: %w", key, err)
			}
			if q.Matches(&e) {
				page.Items = append(page.Items, e)
			}
		}
		return nil
	})
	return page, err
}

// auditWay says where a query begins, and which way it goes.
func auditWay(c *bbolt.Cursor, q *fleet.AuditQuery) (first, step func() ([]byte, []byte)) {
	switch {
	case q.After != nil && *q.After == ^uint64(0):
		return func() ([]byte, []byte) { return nil, nil }, c.Next
	case q.After != nil:
		return func() ([]byte, []byte) { return c.Seek(numberKey(*q.After + 1)) }, c.Next
	case q.Before == 0:
		return c.Last, c.Prev
	default:
		return func() ([]byte, []byte) {
			if key, _ := c.Seek(binary.BigEndian.AppendUint64(nil, q.Before)); key == nil {
				return c.Last()
			}
			return c.Prev()
		}, c.Prev
	}
}
