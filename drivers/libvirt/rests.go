package libvirt

import (
	"context"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/internal/pause"
)

// restAfterStop is how long a machine stays off between a stop and a start of
// ours. libvirt 9 handles the end of a QEMU in a thread of its own, and kills
// whatever QEMU the machine has by then; half a second lets that thread get
// its turn on all but the busiest hosts (for those, see create).
const restAfterStop = 500 * time.Millisecond

// rests remembers when we stopped machines. The zero value is ready.
type rests struct {
	mu    sync.Mutex
	until map[golibvirt.UUID]time.Time
}

// begin notes that the machine was stopped now, and forgets those whose rest
// is over.
func (r *rests) begin(id golibvirt.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.until == nil {
		r.until = make(map[golibvirt.UUID]time.Time)
	}
	for other, until := range r.until {
		if until.Before(now) {
			delete(r.until, other)
		}
	}
	r.until[id] = now.Add(restAfterStop)
}

// wait returns when the machine's rest is over, or with ctx's error.
func (r *rests) wait(ctx context.Context, id golibvirt.UUID) error {
	r.mu.Lock()
	left := time.Until(r.until[id])
	r.mu.Unlock()
	if left > 0 && !pause.For(ctx, left) {
		return ctx.Err()
	}
	return nil
}
