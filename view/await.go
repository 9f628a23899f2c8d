package view

import (
	"context"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// Await blocks until this node holds the block of host at.Host at version at or
// newer, and in it the instance has no task or is gone: then it returns the
// row, that of the host it was moved to, or nil when it is gone. When ctx ends first it returns the row as it is,
// nil when this node has none, and no error.
func (v *View) Await(ctx context.Context, id fleet.InstanceID, at fleet.Version) (*fleet.Instance, error) {
	blocks := v.cfg.Source.Replica()
	var seen *replica.Block
	for {
		changed := blocks.Changed()
		// The whole fleet's changes pass here, once for each who waits: only
		// those of the one host are worth more than a glance.
		if b := blocks.Block(at.Host); b != seen {
			seen = b
			if settled(b, id, at) {
				return v.rowSince(ctx, b, id), nil
			}
		}
		select {
		case <-ctx.Done():
			return v.rowIn(seen, id), nil
		case <-changed:
		}
	}
}

// settled reports whether the host's block is the one that is waited for.
func settled(b *replica.Block, id fleet.InstanceID, at fleet.Version) bool {
	if !b.Version().AtLeast(at) {
		return false
	}
	row, there := b.Instance(id)
	return !there || row.Task == fleet.TaskNone
}

// rowIn returns the instance as the block shows it, nil when it does not.
func (v *View) rowIn(b *replica.Block, id fleet.InstanceID) *fleet.Instance {
	if b == nil {
		return nil
	}
	row, there := b.Instance(id)
	if !there {
		return nil
	}
	v.refresh()
	v.overlayInstance(b, &row, v.cfg.Now())
	return &row
}

// rowSince is rowIn, or the row of the host that has the instance now.
func (v *View) rowSince(ctx context.Context, b *replica.Block, id fleet.InstanceID) *fleet.Instance {
	if row := v.rowIn(b, id); row != nil {
		return row
	}
	if row, err := v.Instance(ctx, id); err == nil && row.Host != b.HostID() && row.SupersededBy.IsZero() {
		return &row
	}
	return nil
}
