package fleet

import (
	"cmp"
	"slices"
)

// DigestDiff compares what two nodes hold.
type DigestDiff struct {
	A NodeDigest `json:"a"`
	B NodeDigest `json:"b"`
	// Equal says that both hold the same fleet, byte by byte.
	Equal bool `json:"equal"`
	// Hosts are those of which they hold different versions, ordered by name.
	Hosts []HostDiff `json:"items"`
}

// NodeDigest is one side of a comparison.
type NodeDigest struct {
	Node  UUID   `json:"node,omitzero"` // zero where it is known by its address alone
	Name  string `json:"name"`
	Root  string `json:"root"`
	Hosts int    `json:"hosts"`
}

// HostDiff is one host of which two nodes hold different versions.
type HostDiff struct {
	Host     HostID  `json:"host"`
	HostName string  `json:"host_name"`
	A        Version `json:"a"` // empty where the node does not know the host
	B        Version `json:"b"`
	Newer    string  `json:"newer"` // a or b: who holds the newer version
	// RowsA and RowsB count the rows of each version.
	RowsA int `json:"rows_a"`
	RowsB int `json:"rows_b"`
	// RowsDiffer counts the rows that were added, changed or deleted between the
	// two versions; absent where the node that compares cannot tell.
	RowsDiffer *int `json:"rows_differ,omitempty"`
}

// Compare orders two versions of one host by the merge law: the greater one
// is the newer.
func (r *DigestRow) Compare(o *DigestRow) int {
	return cmp.Or(
		cmp.Compare(r.Version.Epoch, o.Version.Epoch),
		cmp.Compare(r.Incarnation, o.Incarnation),
		cmp.Compare(r.Version.Seq, o.Version.Seq),
		cmp.Compare(r.Hash, o.Hash),
	)
}

// CompareDigests returns the hosts of which the digests name different
// versions, ordered by name, then id.
func CompareDigests(a, b Digest) []HostDiff {
	held := make(map[HostID]*DigestRow, len(a.Rows))
	for i := range a.Rows {
		held[a.Rows[i].Host] = &a.Rows[i]
	}
	out := []HostDiff{}
	for i := range b.Rows {
		rowA, rowB := held[b.Rows[i].Host], &b.Rows[i]
		delete(held, rowB.Host)
		if rowA == nil {
			rowA = &DigestRow{Host: rowB.Host}
		}
		if rowA.Compare(rowB) != 0 {
			out = append(out, hostDiff(rowA, rowB))
		}
	}
	for _, rowA := range held {
		out = append(out, hostDiff(rowA, &DigestRow{Host: rowA.Host}))
	}
	slices.SortFunc(out, func(x, y HostDiff) int { return cmp.Or(cmp.Compare(x.HostName, y.HostName), x.Host.Compare(y.Host)) })
	return out
}

func hostDiff(a, b *DigestRow) HostDiff {
	d := HostDiff{
		Host: a.Host, HostName: cmp.Or(a.HostName, b.HostName), A: a.Version, B: b.Version, RowsA: a.Rows, RowsB: b.Rows, Newer: "a",
	}
	if a.Compare(b) < 0 {
		d.Newer = "b"
	}
	return d
}
