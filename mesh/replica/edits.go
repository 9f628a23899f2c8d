package replica

import (
	"fmt"
	"slices"

	"grapevine/mesh/wire"
)

// edits returns what changed rows and deletions do to p, in key order. A row
// that is both deleted and stated stays; deletions of what is not there do
// nothing. The edits are the scratch's.
func (p *packed) edits(rows []Row, deletions []wire.Deletion, w *scratch) ([]edit, error) {
	rows, err := inOrder(rows)
	if err != nil {
		return nil, err
	}
	w.edits = slices.Grow(w.edits[:0], len(rows)+len(deletions))
	w.warm += p.locate(&w.edits, rows)
	out := w.edits
	stated := len(out)
	for i := range deletions {
		at, found := p.find(deletions[i].Key)
		if found && !slices.ContainsFunc(out[:stated], func(e edit) bool { return e.found && e.at == at }) {
			out = append(out, edit{at, true, deletions[i].Kind, nil})
		}
	}
	if len(out) > stated {
		// Of two edits at one place the new row comes first: its key is lower.
		slices.SortStableFunc(out, func(a, b edit) int { return 2*(a.at-b.at) + rank(b) - rank(a) })
		out = slices.CompactFunc(out, func(a, b edit) bool { return a.at == b.at && a.row == nil && b.row == nil })
	}
	return out, nil
}

// inOrder returns the rows in key order, as they mostly come.
func inOrder(rows []Row) ([]Row, error) {
	for i := 1; i < len(rows); i++ {
		switch c := rows[i-1].Compare(rows[i].Key); {
		case c == 0:
			return nil, fmt.Errorf("a row of kind %d is stated twice: %w", rows[i].Kind, ErrMismatch)
		case c > 0:
			return inOrder(slices.SortedFunc(slices.Values(rows), func(a, b Row) int { return a.Compare(b.Key) }))
		}
	}
	return rows, nil
}

// locate appends to out where each of the rows belongs. It touches all that it
// and those after it are about to read before it reads any, so that this comes
// from memory together.
func (p *packed) locate(out *[]edit, rows []Row) (warm int) {
	for i := range rows {
		r, at := &rows[i], p.n
		if r.Kind == wire.KindInstance {
			at = p.near(prefixOf(r.ID))
		}
		*out = append(*out, edit{at, false, r.Kind, r})
		warm += touch(r.Body)
	}
	for _, e := range *out {
		if e.at < p.n {
			warm += touch(p.encoded(e.at))
		}
	}
	for i := range *out {
		if e := &(*out)[i]; e.kind == wire.KindInstance {
			e.at, e.found = p.instanceAt(e.at, e.row.Key)
		} else {
			e.at, e.found = p.find(e.row.Key)
		}
	}
	return warm
}

// touch looks at the cache lines of the first row in b, if it is one of most.
func touch(b []byte) (warm int) {
	const line, most = 64, 192
	for at := 0; at < min(len(b), most); at += line {
		warm += int(b[at])
	}
	return warm
}

func rank(e edit) int {
	if e.found {
		return 0
	}
	return 1
}
