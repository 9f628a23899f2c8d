package agent

import (
	"context"
	"io"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

// told is what was last heard of the work that operations are doing.
type told struct {
	mu sync.Mutex
	by map[string]fleet.Progress // guarded by mu; by operation, or by the image that several wait for
}

// listen hears what is done under the context for an operation or an image,
// until done.
func (t *told) listen(ctx context.Context, operation string) (hearing context.Context, done func()) {
	return drivers.Telling(ctx, func(now fleet.Progress) { t.set(operation, now) }), func() { t.set(operation, fleet.Progress{}) }
}

func (t *told) set(operation string, now fleet.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now == (fleet.Progress{}) {
		delete(t.by, operation)
		return
	}
	if t.by == nil {
		t.by = map[string]fleet.Progress{}
	}
	t.by[operation] = now
}

// of returns what was heard of an operation; nil for nothing.
func (t *told) of(operation string) *fleet.Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now, ok := t.by[operation]; ok {
		return &now
	}
	return nil
}

// progress is how far an operation under way is, where anybody says so: what is
// done at the hypervisor, for it alone or with the image that it waits for, or
// what of the image has come.
func (a *Agent) progress(op *fleet.Operation) *fleet.Progress {
	if op.State != fleet.OperationRunning {
		return nil
	}
	if now := a.told.of(op.ID); now != nil {
		return now
	}
	coming := a.shelf.progress(op)
	if now := a.told.of(op.Image); coming != nil && now != nil {
		return now
	}
	return coming
}

// telling reads content and tells how much of it was read.
func telling(ctx context.Context, content io.Reader, total int64) io.Reader {
	return &tellingReader{ctx: ctx, from: content, total: total}
}

type tellingReader struct {
	ctx         context.Context //nolint:containedctx // a Read has none, and this one is of one call.
	from        io.Reader
	done, total int64
	said        int64
}

// tellEvery bounds how often a transfer tells: each time costs a lock.
const tellEvery = 1 << 20

// Read implements io.Reader.
func (r *tellingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.done += int64(n)
	if r.done-r.said >= tellEvery || r.done == r.total {
		r.said = r.done
		drivers.Tell(r.ctx, fleet.Progress{DoneBytes: r.done, TotalBytes: r.total})
	}
	return n, err
}
