package replica

import (
	"bytes"
	"errors"
	"fmt"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// ErrUnproven says that a head is not signed by the host that it is of.
var ErrUnproven = errors.New("head is not signed by its host")

// Verifier says whether a signature over message is of a host, which its
// credential must prove. Name is the hash of the credential's row: for whoever
// remembers what came of it before. It may be called by several goroutines, and
// keeps nothing of what it is given.
type Verifier interface {
	Verify(host fleet.HostID, name [16]byte, credential, message, signature []byte) error
}

// VerifyWith makes Apply refuse blocks whose head is not signed by their host
// (writer). Without it, as in simulations of nodes that have no identity, every
// block is taken that matches its head.
func (r *Replica) VerifyWith(v Verifier) { r.verifier = v }

// Verifies reports whether Apply refuses blocks that their host did not sign.
func (r *Replica) Verifies() bool { return r.verifier != nil }

// Signature returns the host's signature over the head, nil for none. Nobody may
// change it.
func (b *Block) Signature() []byte { return b.signature }

// Check is the look at the signature of one delta, which may be done before the
// delta is applied, by anyone: it is most of the work of taking in a change.
type Check struct {
	delta      *Delta
	head       Head
	name       Hash
	credential []byte
	verifier   Verifier
}

// checked is what a check leaves in its delta.
type checked struct {
	head Head
	name Hash
	err  error
}

// Check returns the look at the signature that applying d will take, if head is
// the one that d leads to. It reports false where there is none: d brings
// nothing newer, or nobody verifies (writer).
func (r *Replica) Check(d *Delta, head Head) (Check, bool) {
	held := r.Block(head.Host)
	if r.verifier == nil || len(d.Signature) == 0 || held != nil && head.Compare(&held.head) <= 0 {
		return Check{}, false
	}
	c := Check{delta: d, head: head, verifier: r.verifier}
	for i := range d.Rows {
		if row := &d.Rows[i]; row.Key == wire.CredentialKey() {
			c.credential, c.name = row.Body, row.Hash()
			return c, true
		}
	}
	if d.Form == wire.Whole || held == nil {
		return Check{}, false
	}
	var ok bool
	c.credential, c.name, ok = held.credential()
	return c, ok
}

// Do looks at the signature, and leaves the outcome in the delta for Apply.
func (c *Check) Do() {
	err := verify(c.verifier, &c.head, c.name, c.credential, c.delta.Signature)
	c.delta.Checked = &checked{c.head, c.name, err}
}

// proven returns nil if the head of b, to which d led, is signed by its host, or
// if nobody verifies (writer).
func (r *Replica) proven(b *Block, d *Delta) error {
	if r.verifier == nil {
		return nil
	}
	credential, name, ok := b.credential()
	switch {
	case !ok:
		return fmt.Errorf("block without a credential: %w", ErrUnproven)
	case len(d.Signature) == 0:
		return fmt.Errorf("block without a signature: %w", ErrUnproven)
	}
	if c, done := d.Checked.(*checked); done && c.head == b.head && c.name == name {
		return c.err
	}
	return verify(r.verifier, &b.head, name, credential, d.Signature)
}

func verify(v Verifier, head *Head, name Hash, credential, signature []byte) error {
	var space [wire.SignedBytes]byte
	if err := v.Verify(head.Host, name, credential, head.AppendSigned(space[:0]), signature); err != nil {
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	return nil
}

// Proven returns nil if d is a whole block that Apply would take if nothing were
// held: its rows match its head, and that is signed by its host, where anybody
// verifies (writer).
func (r *Replica) Proven(d Delta) error {
	if d.Form != wire.Whole {
		return ErrNeedWhole
	}
	b, err := mergeWhole(&d, elsewhere())
	if err != nil {
		return err
	}
	return r.proven(b, &d)
}

// credential returns the row by which the head's signature is verified, and its
// hash (writer).
func (b *Block) credential() (body []byte, name Hash, ok bool) {
	i, found := b.rows.find(wire.CredentialKey())
	if !found {
		return nil, Hash{}, false
	}
	return b.rows.row(i).Body, Hash(b.rows.hash(i)), true
}

// sign sets the signature that came with a delta, of whose memory nothing is
// kept.
func (b *Block) sign(signature []byte) { b.signature = bytes.Clone(signature) }
