package replica

import (
	"errors"
	"fmt"
	"slices"

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
func merge(held *Block, d Delta) (*Block, error) {
	switch d.Form {
	case wire.Whole:
		b, err := whole(d.Head, d.Rows)
		if err != nil {
			return nil, err
		}
		return b, check(b, d.Head, ErrMismatch)
	case wire.Changes:
		if held == nil || !held.head.SameLife(&d.Head) || held.head.Seq < d.Since {
			return nil, ErrNeedWhole
		}
		b, err := changed(held, d)
		if err != nil {
			return nil, err
		}
		return b, check(b, d.Head, ErrNeedWhole)
	case wire.HeadOnly:
		if held == nil {
			return nil, ErrNeedWhole
		}
		b := newBlock(d.Head, slices.Clone(held.rows), held.hashes)
		for i := range b.rows {
			b.rows[i].Seq = d.Head.Seq
		}
		return b, check(b, d.Head, ErrNeedWhole)
	default:
		return nil, fmt.Errorf("delta of unknown form %d: %w", d.Form, ErrMismatch)
	}
}

// check compares what the rows came to with what their head says.
func check(b *Block, want Head, otherwise error) error {
	if b.head != want {
		return fmt.Errorf("%d rows hash to %s, their head says %d and %s: %w", b.head.Count, b.head.Hash, want.Count, want.Hash, otherwise)
	}
	return nil
}

// whole builds a block from all its rows, which must be in key order.
func whole(head Head, rows []Row) (*Block, error) {
	if err := checkSize(rows); err != nil {
		return nil, err
	}
	hashes := make([]Hash, len(rows))
	for i := range rows {
		if i > 0 && rows[i-1].Compare(rows[i].Key) >= 0 {
			return nil, fmt.Errorf("row %d is not after the row before it: %w", i, ErrMismatch)
		}
		hashes[i] = rows[i].Hash()
	}
	return newBlock(head, rows, hashes), nil
}

// changed lays the rows and deletions of d over held.
func changed(held *Block, d Delta) (*Block, error) {
	rows, hashes := make([]Row, 0, len(held.rows)+len(d.Rows)), make([]Hash, 0, len(held.rows)+len(d.Rows))
	gone := make(map[Key]bool, len(d.Deletions))
	for _, x := range d.Deletions {
		gone[x.Key] = true
	}
	fresh := slices.SortedFunc(slices.Values(d.Rows), func(a, b Row) int { return a.Compare(b.Key) })
	take := func(r Row) {
		rows, hashes = append(rows, r), append(hashes, r.Hash())
	}
	for i, old := range held.rows {
		for len(fresh) > 0 && fresh[0].Compare(old.Key) < 0 {
			take(fresh[0])
			fresh = fresh[1:]
		}
		switch {
		case len(fresh) > 0 && fresh[0].Key == old.Key:
			take(fresh[0])
			fresh = fresh[1:]
		case !gone[old.Key]:
			rows, hashes = append(rows, old), append(hashes, held.hashes[i])
		}
	}
	for _, r := range fresh {
		take(r)
	}
	if err := checkSize(rows); err != nil {
		return nil, err
	}
	b := newBlock(d.Head, rows, hashes)
	b.deletions, b.floor = remember(held, d.Deletions)
	return b, nil
}

// remember adds deletions newer than held to those that it knows, and forgets
// the oldest past the bound.
func remember(held *Block, more []wire.Deletion) ([]wire.Deletion, uint64) {
	all, floor := slices.Clone(held.deletions), held.floor
	for _, x := range more {
		if x.Seq > held.head.Seq {
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b wire.Deletion) int {
		switch {
		case a.Seq < b.Seq:
			return -1
		case a.Seq > b.Seq:
			return 1
		default:
			return a.Compare(b.Key)
		}
	})
	if extra := len(all) - wire.MaxDeletions; extra > 0 {
		floor = max(floor, all[extra-1].Seq)
		all = all[extra:]
	}
	return all, floor
}

func checkSize(rows []Row) error {
	if len(rows) > fleet.MaxRows {
		return fmt.Errorf("%d rows, at most %d are allowed: %w", len(rows), fleet.MaxRows, ErrTooLarge)
	}
	size := 0
	for i := range rows {
		row := &rows[i]
		if len(row.ID) > wire.MaxKeyBytes || len(row.Body) > fleet.MaxHostRowBytes {
			return fmt.Errorf("a row of kind %d has a key of %d and a body of %d bytes: %w", row.Kind, len(row.ID), len(row.Body), ErrTooLarge)
		}
		size += row.Size()
	}
	if size > fleet.MaxBlockBytes {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", size, fleet.MaxBlockBytes, ErrTooLarge)
	}
	return nil
}
