package wire

import (
	"slices"

	"grapevine/fleet"
)

// Hashed is a Table that remembers what its entries come to in signs: rows name
// the same few again and again, and hashing these is most of what the signs of a
// whole block cost. It is for one goroutine.
type Hashed struct {
	table   Table
	known   []hashes // by number less one
	project uint64   // of the row that was signed last: see Project
	inFull  []byte
}

// hashes are those of an entry, as a text and as a label: which of them rows
// ask for depends on the field that names it.
type hashes struct {
	text              uint64
	label             Sign
	hasText, hasLabel bool
}

// NewHashed returns a table that remembers the hashes of the entries with the
// numbers up to n.
func NewHashed(table Table, n int) *Hashed { return &Hashed{table: table, known: make([]hashes, n)} }

// Reset makes t what NewHashed returns, in the memory that it has.
func (t *Hashed) Reset(table Table, n int) {
	if cap(t.known) < n {
		t.known = make([]hashes, n)
	}
	t.known = t.known[:n]
	clear(t.known)
	t.table, t.project, t.inFull = table, 0, nil
}

// Project returns where the row that was signed last says its project, as
// ProjectOf does.
func (t *Hashed) Project() (ref uint64, inFull []byte) { return t.project, t.inFull }

// SignOf is SignOf for a row of the block with this table.
func (t *Hashed) SignOf(body []byte) (Sign, bool) {
	t.project, t.inFull = 0, nil
	s, f := noSign, field{}
	var err error
	for at := 0; at < len(body); {
		if at = f.read(body, at); at < 0 {
			return 0, false
		}
		switch f.typ {
		case typeVarint:
			s, err = t.addNumber(s, &f)
		case typeBytes:
			s, err = t.addBytes(s, &f)
		default: // it says nothing
		}
		if err != nil {
			return 0, false
		}
	}
	return max(s, 1), true // zero is for those that cannot be read
}

// addNumber adds what a field that is a number says to a sign.
func (t *Hashed) addNumber(s Sign, f *field) (Sign, error) {
	switch f.number {
	case inLabelRef:
		label, err := t.label(f.value)
		return s | label, err
	case inProjectRef:
		t.project, t.inFull = f.value, nil
		h, err := t.text(f.value)
		return s&^signProjectMask | projectSign(h), err
	case inPower:
		return s&^signPowerMask | powerSign(int(min(f.value, 1<<8))), checkWord(f.value, len(powers))
	case inOwnership:
		return s, checkWord(f.value, len(ownerships))
	case inHypervisor:
		return s, checkWord(f.value, len(hypervisors))
	case inTask:
		return s, checkWord(f.value, len(tasks))
	case inFlavorRef, inImageRef, inFaultRef:
		_, err := t.text(f.value)
		return s, err
	}
	return s, nil
}

// addBytes is addNumber for a field that is bytes.
func (t *Hashed) addBytes(s Sign, f *field) (Sign, error) {
	switch f.number {
	case inName:
		_, err := plain(f.bytes)
		return s&^signNameMask | nameSign(hashOf(0, f.bytes)), err
	case inProject:
		t.project, t.inFull = 0, f.bytes
		h, err := hashText(0, f.bytes)
		return s&^signProjectMask | projectSign(h), err
	case inPowerWord:
		word, err := plain(f.bytes)
		return s&^signPowerMask | powerSign(slices.Index(powers, fleet.Power(word))+1), err
	case inLabel:
		h, err := t.hashLabel(f.bytes)
		return s | labelSign(h), err
	case inFlavor, inImage, inFault, inRescue:
		_, _, err := textValue(f.bytes)
		return s, err
	case inSuperseded, inTwin, inGroup:
		_, err := readID(f.bytes)
		return s, err
	case inAddress:
		if n := len(f.bytes); n != 4 && n != 16 {
			return s, errBody
		}
	case inOwnerWord, inHyperWord, inTaskWord, inAddressText, inAutostart:
		_, err := plain(f.bytes)
		return s, err
	}
	return s, nil
}

// of returns where the hashes of an entry are remembered, or passing where they
// are not.
func (t *Hashed) of(number uint64, passing *hashes) *hashes {
	if number-1 >= uint64(len(t.known)) { // 0 wraps around
		return passing
	}
	return &t.known[number-1]
}

// text returns the hash of the text with this number.
func (t *Hashed) text(number uint64) (uint64, error) {
	var passing hashes
	h := t.of(number, &passing)
	if h.hasText {
		return h.text, nil
	}
	encoded, err := lookUp(t.table, number)
	if err == nil {
		h.text, err = hashText(0, encoded)
	}
	h.hasText = err == nil
	return h.text, err
}

// label returns the sign of the label with this number.
func (t *Hashed) label(number uint64) (Sign, error) {
	var passing hashes
	h := t.of(number, &passing)
	if h.hasLabel {
		return h.label, nil
	}
	label, err := lookUp(t.table, number)
	if err != nil {
		return 0, err
	}
	hash, err := t.hashLabel(label)
	h.label, h.hasLabel = labelSign(hash), err == nil
	return h.label, err
}

// hashLabel returns the hash of a label, in full but for its key.
func (t *Hashed) hashLabel(label []byte) (uint64, error) {
	if number, value, ok := plainLabel(label); ok {
		h, err := t.text(number)
		if err != nil {
			return 0, err
		}
		return hashText(h, value)
	}
	key, value, err := labelParts(label, t.table)
	if err != nil {
		return 0, err
	}
	h, err := hashText(0, key)
	if err != nil {
		return 0, err
	}
	return hashText(h, value)
}
