package proofs

import (
	"context"
	"errors"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
)

// lot is a batch of creates under one key, each with a fate of its own.
type lot struct {
	key   string
	ask   fleet.CreateMany
	fates []*fate
}

// newLot makes a lot of what was to be one, and returns the first of it.
func (h *History) newLot(like *fate) *fate {
	l := &lot{key: like.key, ask: fleet.CreateMany{Create: like.ask, Count: 2 + h.rng.IntN(3)}}
	for n := 1; n <= l.ask.Count; n++ {
		key := fleet.BatchKey(l.key, n)
		l.fates = append(l.fates, &fate{id: fleet.KeyedInstanceID(fleet.DefaultProject, key), key: key, ask: l.ask.Item(n), lot: l})
	}
	return l.fates[0]
}

// createLot asks for all of a lot, for the first time or again: also for those
// that were deleted since, which must not come back.
func (h *History) createLot(at *client.Client, l *lot) {
	if h.oracle.any(l.fates, func(f *fate) bool { return f.removed }) {
		return // nobody promised what becomes of one that a person removed
	}
	for _, f := range l.fates {
		h.oracle.asks(f, nil)
	}
	h.request(func(ctx context.Context) {
		sum, err := at.CreateBatch(ctx, l.ask, client.CreateOptions{Key: l.key})
		if e, ok := errors.AsType[*fleet.Error](err); ok && e.Batch != nil {
			sum = *e.Batch
		}
		for i, f := range l.fates {
			of := err
			if len(sum.Items) == len(l.fates) {
				of = nil
				if p := sum.Items[i].Problem; p != nil {
					of = p.Err()
				}
			}
			h.oracle.told(f, "create in a batch", of, f.created(of))
		}
	})
}

// any reports whether something holds of one of them.
func (o *oracle) any(fates []*fate, holds func(*fate) bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(fates, holds)
}
