package view

import (
	"context"

	"grapevine/fleet"
)

// Await blocks until this node holds the block of host at.Host at version at or
// newer, and in it the instance has no task or is gone: then it returns the
// row, nil when it is gone. When ctx ends first it returns the row as it is,
// nil when this node has none, and no error.
func (v *View) Await(ctx context.Context, id fleet.InstanceID, at fleet.Version) (*fleet.Instance, error) {
	for {
		changed := v.cfg.Source.Replica().Changed()
		row, done := v.settled(id, at)
		if done {
			return row, nil
		}
		select {
		case <-ctx.Done():
			return row, nil
		case <-changed:
		}
	}
}

// settled returns the instance's row at its host, and whether it is the one
// that is waited for.
func (v *View) settled(id fleet.InstanceID, at fleet.Version) (row *fleet.Instance, done bool) {
	b := v.cfg.Source.Replica().Block(at.Host)
	if b == nil {
		return nil, false
	}
	in, there := b.Instance(id)
	reached := b.Version().AtLeast(at)
	if !there {
		return nil, reached
	}
	done = reached && in.Task == fleet.TaskNone
	v.refresh()
	v.overlayInstance(b, &in, v.cfg.Now())
	return &in, done
}
