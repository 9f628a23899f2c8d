package view

import (
	"context"
	"errors"
	"fmt"

	"grapevine/api/client"
	"grapevine/fleet"
)

// Diff compares what two members hold, by name, id or address; an empty one is
// this node. It asks those that are not this node, and blocks until they have
// answered or had their time. What changes between the two answers shows as a
// difference.
func (v *View) Diff(ctx context.Context, a, b string) (fleet.DigestDiff, error) {
	var diff fleet.DigestDiff
	var err error
	var digestA, digestB fleet.Digest
	if diff.A, digestA, err = v.digestAt(ctx, a); err != nil {
		return fleet.DigestDiff{}, err
	}
	if diff.B, digestB, err = v.digestAt(ctx, b); err != nil {
		return fleet.DigestDiff{}, err
	}
	diff.Hosts = fleet.CompareDigests(digestA, digestB)
	diff.Equal = len(diff.Hosts) == 0
	for i := range diff.Hosts {
		diff.Hosts[i].RowsDiffer = v.rowsBetween(&diff.Hosts[i])
	}
	return diff, nil
}

// digestAt returns the digest of a member.
func (v *View) digestAt(ctx context.Context, ref string) (fleet.NodeDigest, fleet.Digest, error) {
	m, err := v.memberNamed(ctx, ref)
	if err != nil {
		return fleet.NodeDigest{}, fleet.Digest{}, err
	}
	var digest fleet.Digest
	if m.ID == v.cfg.Self {
		digest, err = v.Digest(ctx)
	} else {
		digest, err = askOne(ctx, v, &m, func(ctx context.Context, peer *client.Client) (fleet.Digest, error) { return peer.Digest(ctx) })
	}
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown) {
		err = &fleet.Error{Code: fleet.CodeHostUnreachable, Detail: fmt.Sprintf("%s (%s) did not answer: %s", m.Name, m.Status, whySilent(err))}
	}
	return fleet.NodeDigest{Node: m.ID, Name: m.Name, Root: digest.Root, Hosts: len(digest.Rows)}, digest, err
}

// rowsBetween counts the rows in which two versions of a host differ, where
// this node holds the newer one and can still tell what has changed since the
// older; else nil.
func (v *View) rowsBetween(d *fleet.HostDiff) *int {
	older, newer := d.A, d.B
	if d.Newer == "a" {
		older, newer = d.B, d.A
	}
	b := v.cfg.Source.Replica().Block(d.Host)
	if b == nil || b.Version() != newer {
		return nil
	}
	if older.IsZero() {
		rows := b.Len()
		return &rows
	}
	before := b.Head() // of the same life, if it is one
	before.Epoch, before.Seq = older.Epoch, older.Seq
	delta, _ := b.Since(before)
	if delta.Since == 0 {
		return nil // another life, or too long ago
	}
	rows := len(delta.Rows) + len(delta.Deletions)
	return &rows
}
