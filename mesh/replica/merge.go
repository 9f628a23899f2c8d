package replica

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// The reasons why a delta does not lead to a block.
var (
	// ErrNeedWhole: the delta starts from something that is not held, or its
	// result does not match its head; the whole block will do.
	ErrNeedWhole = errors.New("delta does not fit what is held")
	// ErrMismatch: all rows are there, and do not match their head.
	ErrMismatch = errors.New("rows do not match their head")
	// ErrTooLarge: the block is past the limits.
	ErrTooLarge = errors.New("block is past the limits")
)

// merge returns the block that d leads to from held, which may be nil.
func merge(held *Block, d Delta, m memory) (*Block, error) {
	switch d.Form {
	case wire.Whole:
		return mergeWhole(&d, m)
	case wire.Changes:
		if held == nil || !held.head.SameLife(&d.Head) || held.head.Seq < d.Since {
			return nil, ErrNeedWhole
		}
		b, err := changed(held, d, m)
		if err != nil {
			return nil, err
		}
		return m.checked(b, d.Head, &held.rows, ErrNeedWhole)
	case wire.HeadOnly:
		if held == nil {
			return nil, ErrNeedWhole
		}
		b := newBlock(d.Head, pack(held.Rows(), held.rows.hashes, d.Head.Seq, m))
		return m.checked(b, d.Head, &held.rows, ErrNeedWhole)
	default:
		return nil, fmt.Errorf("delta of unknown form %d: %w", d.Form, ErrMismatch)
	}
}

// checked returns b if it is as its head says, and otherwise drops what of it is
// not of held.
func (a *arena) checked(b *Block, want Head, held *packed, otherwise error) (*Block, error) {
	if err := check(b, want, otherwise); err != nil {
		a.refuse(&b.rows, held)
		return nil, err
	}
	return b, nil
}

// check compares what the rows came to with what their head says.
func check(b *Block, want Head, otherwise error) error {
	if b.head != want {
		return fmt.Errorf("%d rows hash to %s, their head says %d and %s: %w", b.head.Count, b.head.Hash, want.Count, want.Hash, otherwise)
	}
	return nil
}

// whole builds a block from all its rows, which must be in key order. It copies
// them: they may be parts of a frame.
func whole(head Head, rows []Row, m memory) (*Block, error) {
	size := 0
	for i := range rows {
		if err := checkRow(&rows[i], &head); err != nil {
			return nil, err
		}
		if i > 0 && rows[i-1].Compare(rows[i].Key) >= 0 {
			return nil, fmt.Errorf("row %d is not after the row before it: %w", i, ErrMismatch)
		}
		size += rows[i].Size()
	}
	if err := checkSize(len(rows), size); err != nil {
		return nil, err
	}
	return newBlock(head, pack(rows, nil, 0, m)), nil
}

// changed lays the rows and deletions of d over held, which is of this host. It
// copies them, into m.
func changed(held *Block, d Delta, m memory) (*Block, error) {
	for i := range d.Rows {
		if err := checkRow(&d.Rows[i], &d.Head); err != nil {
			return nil, err
		}
	}
	for _, x := range d.Deletions {
		if len(x.ID) > wire.MaxKeyBytes || x.Seq > d.Head.Seq {
			return nil, fmt.Errorf("deletion of a key of %d bytes in seq %d of %d: %w", len(x.ID), x.Seq, d.Head.Seq, ErrMismatch)
		}
	}
	edits, err := held.rows.edits(d.Rows, d.Deletions, m.scratch)
	if err != nil {
		return nil, err
	}
	rows := held.rows.apply(edits, m)
	clear(edits) // they point into a frame
	if err := checkSize(rows.n, rows.size); err != nil {
		m.refuse(&rows, &held.rows)
		return nil, err
	}
	b := newBlock(d.Head, rows)
	b.deletions, b.floor = remember(held, d.Deletions)
	return b, nil
}

// remember adds deletions newer than held to those that it knows, and forgets
// the oldest past the bound.
func remember(held *Block, more []wire.Deletion) ([]wire.Deletion, uint64) {
	if len(more) == 0 {
		return held.deletions, held.floor
	}
	all, floor := slices.Clone(held.deletions), held.floor
	for _, x := range more {
		if x.Seq > held.head.Seq {
			x.ID = strings.Clone(x.ID) // it is part of a frame
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b wire.Deletion) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), a.Compare(b.Key)) })
	if extra := len(all) - wire.MaxDeletions; extra > 0 {
		floor = max(floor, all[extra-1].Seq)
		all = slices.Clone(all[extra:])
	}
	return all, floor
}

// checkRow judges a row before it is copied. What it refuses, every node
// refuses, whatever version it held before; so all go on holding the same.
func checkRow(r *Row, head *Head) error {
	most := fleet.MaxHostRowBytes
	if r.Kind == wire.KindInstance {
		most = fleet.MaxInstanceRowBytes
	}
	switch {
	case len(r.ID) > wire.MaxKeyBytes:
		return fmt.Errorf("a row of kind %d has a key of %d bytes, at most %d are allowed: %w", r.Kind, len(r.ID), wire.MaxKeyBytes, ErrTooLarge)
	case len(r.Body) > most:
		return fmt.Errorf("a row of kind %d has a body of %d bytes, at most %d are allowed: %w", r.Kind, len(r.Body), most, ErrTooLarge)
	case r.Seq > head.Seq:
		return fmt.Errorf("a row of kind %d changed in seq %d, after the head's %d: %w", r.Kind, r.Seq, head.Seq, ErrMismatch)
	}
	return nil
}

// checkSize judges a block's rows and what they count against the limit.
func checkSize(rows, size int) error {
	if rows > fleet.MaxRows {
		return fmt.Errorf("%d rows, at most %d are allowed: %w", rows, fleet.MaxRows, ErrTooLarge)
	}
	if size > fleet.MaxBlockBytes {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", size, fleet.MaxBlockBytes, ErrTooLarge)
	}
	return nil
}
