package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"grapevine/fleet"
)

// The frames that travel with every change are packed by hand: as Protocol
// Buffers an announcement of one host would be 16 bytes and not 9, and most of
// the time of a delivery would go into them.

var errTruncated = errors.New("it ends in the middle of a field")

// cursor reads a packed payload. After an error it yields zeros, so that err
// needs looking at only where a value decides something.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) fail() {
	c.err = errTruncated
	c.rest = nil
}

func (c *cursor) uvarint() uint64 {
	if len(c.rest) > 0 && c.rest[0] < 0x80 {
		v := c.rest[0]
		c.rest = c.rest[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// bytes returns the next n bytes, which alias the payload.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.rest)) { // not negative
		c.fail()
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) tag() Tag {
	if b := c.bytes(4); b != nil {
		return Tag(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) hash() (h Hash) {
	copy(h[:], c.bytes(uint64(len(h))))
	return h
}

func appendTag(buf []byte, t Tag) []byte { return binary.BigEndian.AppendUint32(buf, uint32(t)) }

func appendAnnounce(buf []byte, m *Announce) []byte {
	for _, a := range m.Items {
		buf = appendTag(buf, a.Tag)
		buf = binary.AppendUvarint(buf, a.Epoch)
		buf = binary.AppendUvarint(buf, a.Seq)
	}
	return buf
}

func (m *Announce) decode(payload []byte) error {
	const least = 6 // bytes of an item
	m.Items = slices.Grow(m.Items[:0], len(payload)/least)
	c := cursor{rest: payload}
	for len(c.rest) > 0 {
		m.Items = append(m.Items, Announcement{Tag: c.tag(), Epoch: c.uvarint(), Seq: c.uvarint()})
	}
	return c.err
}

func appendBeats(buf []byte, m *Beats) []byte {
	for _, b := range m.Items {
		buf = appendTag(buf, b.Tag)
		for _, v := range [...]uint64{b.Epoch, b.Seq, b.Number, b.AgeMS} {
			buf = binary.AppendUvarint(buf, v)
		}
	}
	return buf
}

func decodeBeats(payload []byte) (Message, error) {
	const least = 8 // bytes of an item
	m, c := &Beats{Items: make([]Beat, 0, len(payload)/least)}, cursor{rest: payload}
	for len(c.rest) > 0 {
		m.Items = append(m.Items, Beat{Tag: c.tag(), Epoch: c.uvarint(), Seq: c.uvarint(), Number: c.uvarint(), AgeMS: c.uvarint()})
	}
	return m, c.err
}

func appendPeers(buf []byte, m *Peers) []byte {
	for _, t := range m.Tags {
		buf = appendTag(buf, t)
	}
	return buf
}

func decodePeers(payload []byte) (Message, error) {
	const item = 4 // bytes
	m, c := &Peers{Tags: make([]Tag, 0, len(payload)/item)}, cursor{rest: payload}
	for len(c.rest) > 0 {
		m.Tags = append(m.Tags, c.tag())
	}
	return m, c.err
}

func appendWant(buf []byte, m *Want) []byte {
	buf = binary.AppendUvarint(buf, m.First)
	for i := range m.Items {
		w := &m.Items[i]
		buf = append(appendTag(buf, w.Tag), byte(w.Held))
		if w.Held == HeldNothing {
			continue
		}
		buf = binary.AppendUvarint(buf, w.Epoch)
		buf = binary.AppendUvarint(buf, w.Seq)
		if w.Held == HeldSameLife {
			buf = binary.BigEndian.AppendUint16(buf, w.Life)
			continue
		}
		buf = binary.BigEndian.AppendUint64(buf, w.Incarnation)
		buf = append(buf, w.Hash[:]...)
	}
	return buf
}

func (m *Want) decode(payload []byte) error {
	const least = 5 // bytes of an item
	m.Items = slices.Grow(m.Items[:0], len(payload)/least)
	c := cursor{rest: payload}
	m.First = c.uvarint()
	for len(c.rest) > 0 {
		w := WantItem{Tag: c.tag(), Held: Held(c.byte())}
		switch w.Held {
		case HeldNothing:
		case HeldSameLife:
			w.Epoch, w.Seq, w.Life = c.uvarint(), c.uvarint(), c.uint16()
		case HeldOtherLife:
			w.Epoch, w.Seq, w.Incarnation, w.Hash = c.uvarint(), c.uvarint(), c.uint64(), c.hash()
		default:
			return fmt.Errorf("want of unknown form %d", w.Held)
		}
		m.Items = append(m.Items, w)
	}
	return c.err
}

// Set in a delta's form: deletions follow its rows, a signature follows its
// head.
const (
	hasDeletions = 0x80
	hasSignature = 0x40
)

func appendAnswer(buf []byte, m *Answer) []byte {
	for i := range m.Deltas {
		buf = appendDelta(buf, &m.Deltas[i])
	}
	return buf
}

func appendDelta(buf []byte, d *Delta) []byte {
	buf = binary.AppendUvarint(buf, d.Ask)
	form := byte(d.Form)
	if len(d.Deletions) > 0 {
		form |= hasDeletions
	}
	if len(d.Signature) > 0 {
		form |= hasSignature
	}
	buf = append(buf, form)
	if d.Form != Changes {
		buf = append(buf, d.Head.Host[:]...)
		buf = binary.AppendUvarint(buf, d.Head.Epoch)
		buf = binary.BigEndian.AppendUint64(buf, d.Head.Incarnation)
	}
	for _, v := range [...]uint64{d.Head.Seq, uint64(d.Head.Count), d.Beat, d.AgeMS} { // counts are not negative
		buf = binary.AppendUvarint(buf, v)
	}
	if d.Pushed() {
		buf = binary.AppendUvarint(buf, d.Head.Epoch)
		buf = binary.BigEndian.AppendUint16(buf, uint16(d.Head.Incarnation)) // its low bits
		buf = binary.AppendUvarint(buf, d.Head.Seq-d.Since)
	}
	buf = append(buf, d.Head.Hash[:]...)
	if len(d.Signature) > 0 {
		buf = binary.AppendUvarint(buf, uint64(len(d.Signature))) // not negative
		buf = append(buf, d.Signature...)
	}
	buf = binary.AppendUvarint(buf, uint64(len(d.Rows))) // not negative
	for i := range d.Rows {
		buf = appendRow(buf, d, &d.Rows[i])
	}
	if len(d.Deletions) > 0 {
		buf = binary.AppendUvarint(buf, uint64(len(d.Deletions))) // not negative
	}
	for i := range d.Deletions {
		x := &d.Deletions[i]
		buf = appendKey(buf, x.Key)
		buf = binary.AppendUvarint(buf, d.Head.Seq-x.Seq)
	}
	return buf
}

// appendRow leaves out the key's id of the host's own row, which the head says.
func appendRow(buf []byte, d *Delta, r *Row) []byte {
	if r.Kind == KindHost && !d.Head.Host.IsZero() && r.ID == string(d.Head.Host[:]) {
		buf = append(buf, byte(KindHost), 0)
	} else {
		buf = appendKey(buf, r.Key)
	}
	buf = binary.AppendUvarint(buf, d.Head.Seq-r.Seq)
	buf = binary.AppendUvarint(buf, uint64(len(r.Body))) // not negative
	return append(buf, r.Body...)
}

func appendKey(buf []byte, k Key) []byte {
	buf = binary.AppendUvarint(buf, uint64(k.Kind))
	buf = binary.AppendUvarint(buf, uint64(len(k.ID))) // not negative
	return append(buf, k.ID...)
}

// decodeAnswer reads deltas whose rows and keys alias the payload. It counts rows and
// deletions against their bounds before it makes room for them: an empty one
// takes four bytes on the wire and sixty in memory.
func (r *Reader) decodeAnswer(payload []byte) error {
	m, c := &r.answer, cursor{rest: payload}
	m.Deltas, r.rows, r.deletions = m.Deltas[:0], r.rows[:0], r.deletions[:0]
	for len(c.rest) > 0 {
		if len(m.Deltas) > AnswerBatchRows {
			return fmt.Errorf("more than %d deltas", AnswerBatchRows+1)
		}
		m.Deltas = append(m.Deltas, Delta{})
		d := &m.Deltas[len(m.Deltas)-1]
		if err := r.delta(&c, d); err != nil {
			return err
		}
	}
	for i := range m.Deltas {
		if d := &m.Deltas[i]; d.Form != Changes {
			d.restoreHostKey()
		}
	}
	return c.err
}

// delta reads one delta, whose rows and deletions are appended to those of the
// frame.
func (r *Reader) delta(c *cursor, d *Delta) error {
	d.Ask = c.uvarint()
	form := c.byte()
	d.Form = Form(form &^ (hasDeletions | hasSignature))
	if d.Form < Whole || d.Form > HeadOnly {
		return fmt.Errorf("delta of unknown form %d", d.Form)
	}
	if d.Form != Changes {
		copy(d.Head.Host[:], c.bytes(uint64(len(d.Head.Host))))
		d.Head.Epoch, d.Head.Incarnation = c.uvarint(), c.uint64()
		d.Tag = TagOf(d.Head.Host)
	}
	d.Head.Seq = c.uvarint()
	count := c.uvarint()
	d.Beat, d.AgeMS = c.uvarint(), c.uvarint()
	if d.Pushed() {
		d.Head.Epoch, d.Head.Incarnation = c.uvarint(), uint64(c.uint16())
		d.Since = d.Head.Seq - c.uvarint()
	}
	d.Head.Hash = c.hash()
	if form&hasSignature != 0 {
		if err := d.decodeSignature(c); err != nil {
			return err
		}
	}
	n := c.uvarint()
	if count > fleet.MaxRows || n > uint64(max(AnswerBatchRows+fleet.MaxRows-len(r.rows), 0)) {
		return fmt.Errorf("a head with %d rows and a delta with %d are too many", count, n)
	}
	d.Head.Count = int(count)
	before := len(r.rows)
	r.rows = slices.Grow(r.rows, int(min(n, uint64(len(c.rest))/4))) // of at least 4 bytes each
	for ; n > 0 && c.err == nil; n-- {
		key, seq := c.key(), d.Head.Seq-c.uvarint()
		r.rows = append(r.rows, Row{Key: key, Seq: seq, Body: c.bytes(c.uvarint())})
	}
	if after := len(r.rows); after > before {
		d.Rows = r.rows[before:after:after]
	}
	if form&hasDeletions == 0 {
		return c.err
	}
	n = c.uvarint()
	if n > MaxDeletions {
		return fmt.Errorf("%d deletions, at most %d are remembered", n, MaxDeletions)
	}
	before = len(r.deletions)
	for ; n > 0 && c.err == nil; n-- {
		r.deletions = append(r.deletions, Deletion{Key: c.key(), Seq: d.Head.Seq - c.uvarint()})
	}
	if after := len(r.deletions); after > before {
		d.Deletions = r.deletions[before:after:after]
	}
	return c.err
}

// decodeSignature reads the signature, which aliases the payload.
func (d *Delta) decodeSignature(c *cursor) error {
	size := c.uvarint()
	if size == 0 || size > MaxSignature {
		return fmt.Errorf("a signature of %d bytes, at most %d are allowed", size, MaxSignature)
	}
	d.Signature = c.bytes(size)
	return nil
}

func (c *cursor) key() Key {
	return Key{Kind: Kind(c.uvarint()), ID: inPlace(c.bytes(c.uvarint()))} // cut to 32 bits
}

// Restore fills in what a delta of form Changes leaves out on the wire: what
// the want that it answers has named, or, of one that was pushed, what its
// receiver holds; a push itself says from where it leads. The key of the host's
// own row then points into the delta.
func (d *Delta) Restore(tag Tag, held Head) {
	d.Tag = tag
	if !d.Pushed() {
		d.Since = held.Seq
	}
	d.Head.Host, d.Head.Epoch, d.Head.Incarnation = held.Host, held.Epoch, held.Incarnation
	d.restoreHostKey()
}

// restoreHostKey gives the host's own row its id.
func (d *Delta) restoreHostKey() {
	for i := range d.Rows {
		if r := &d.Rows[i]; r.Kind == KindHost && r.ID == "" {
			r.ID = inPlace(d.Head.Host[:])
		}
	}
}
