package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"grapevine/fleet"
)

// Journal is one agent's durable memory, a single file. Its methods may be
// called from several goroutines; writes that come together share an fsync.
type Journal struct {
	db    *bbolt.DB
	steps func(Step)
	audit *auditLog
	note  *Note // that the next write carries, nil for none
}

// Step is a moment at which a process may be killed: before a write, when the
// disk knows nothing of it, or after it, when nobody else does.
type Step string

// The steps of a write.
const (
	Before Step = "before"
	After  Step = "after"
)

// Tell has every step of every write told to f, which may block there. It is
// called before the first of them.
func (j *Journal) Tell(f func(Step)) { j.steps = f }

// The buckets. The layout is versioned by the key "layout" in meta.
var (
	metaBucket       = []byte("meta")
	claimsBucket     = []byte("claims")
	operationsBucket = []byte("operations")
	refusalsBucket   = []byte("refusals")
	deletionsBucket  = []byte("deletions")
	keysBucket       = []byte("keys")
	seenBucket       = []byte("seen")
	imagesBucket     = []byte("images")
	recordsBucket    = []byte("records")
	witnessBucket    = []byte("witness")
	startsBucket     = []byte("starts")
)

const (
	layout = 1
	// lockWait is how long Open waits for another process to let go of the
	// file: long enough for a restart, short enough to be told.
	lockWait = 3 * time.Second
	// batchDelay is how long a write waits for others to share its fsync; a
	// disk's own fsync takes about as long.
	batchDelay = time.Millisecond
)

// Open opens the journal at path, making it when it is not there.
func Open(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the journal's folder: %w", err)
	}
	// The list of free pages is found anew at the start, which takes a moment
	// for a file of this size, and not written with each commit.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("journal %s is held by another process: is an agent already running for this host?", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	db.MaxBatchDelay = batchDelay
	j := &Journal{db: db, audit: &auditLog{limit: fleet.MaxAuditBytes}}
	if err := j.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare journal %s: %w", path, err), db.Close())
	}
	return j, nil
}

func (j *Journal) prepare() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, claimsBucket, operationsBucket, refusalsBucket, deletionsBucket, keysBucket, seenBucket, imagesBucket, recordsBucket, witnessBucket, startsBucket, auditBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		held := getUint(meta, "layout")
		if held > layout {
			return fmt.Errorf("it was written by a newer grapevine (layout %d, this one knows %d): start that one, or restore the journal from before the upgrade", held, layout)
		}
		head, err := newestAudit(tx)
		if err != nil {
			return err
		}
		j.audit.head.Store(&head)
		return putUint(meta, "layout", layout)
	})
}

// Close releases the file.
func (j *Journal) Close() error { return j.db.Close() }

// update runs fn in a write transaction that may be shared with others; fn may
// run more than once and must only depend on what it reads.
func (j *Journal) update(fn func(tx *bbolt.Tx) error) error {
	if j.note == nil {
		return j.write(fn)
	}
	n := j.note
	if !n.taken.CompareAndSwap(false, true) {
		return j.write(fn) // another write carries it, or has
	}
	var link fleet.AuditLink
	if err := j.write(j.withNote(fn, &link)); err != nil {
		n.taken.Store(false)
		return err
	}
	n.written.Store(link.Number)
	if n.of != nil {
		n.of.written.CompareAndSwap(0, link.Number)
	}
	j.audit.raise(link)
	return nil
}

func (j *Journal) write(fn func(tx *bbolt.Tx) error) error {
	j.tell(Before)
	if err := j.db.Batch(fn); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.tell(After)
	return nil
}

func (j *Journal) tell(at Step) {
	if j.steps != nil {
		j.steps(at)
	}
}

func putJSON(b *bbolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}

// each decodes every value of a bucket, in key order.
func each[T any](j *Journal, bucket []byte) ([]T, error) {
	var out []T
	err := j.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(key, data []byte) error {
			var v T
			if err := json.Unmarshal(data, &v); err != nil {
				return fmt.Errorf("read %s %x: %w", bucket, key, err)
			}
			out = append(out, v)
			return nil
		})
	})
	return out, err
}

func putUint(b *bbolt.Bucket, key string, v uint64) error {
	return b.Put([]byte(key), binary.BigEndian.AppendUint64(nil, v))
}

func getUint(b *bbolt.Bucket, key string) uint64 {
	data := b.Get([]byte(key))
	if len(data) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(data)
}

func idKey(id fleet.UUID) []byte { return id[:] }
