package wire

// Hashed is a Table that remembers what its entries hash to: rows name the same
// few again and again, and hashing these is most of what the signs of a whole
// block cost. It is for one goroutine.
type Hashed struct {
	Table
	known []hashes // by number less one
}

// hashes are those of an entry, as a text and as a label: which of them rows
// ask for depends on the field that names it.
type hashes struct {
	text, label       uint64
	hasText, hasLabel bool
}

// NewHashed returns a table that remembers the hashes of the entries with the
// numbers up to n.
func NewHashed(table Table, n int) *Hashed { return &Hashed{Table: table, known: make([]hashes, n)} }

// of returns where the hashes of an entry are remembered, nil for nowhere.
func (t *Hashed) of(number uint64) *hashes {
	if number-1 >= uint64(len(t.known)) { // 0 wraps around
		return nil
	}
	return &t.known[number-1]
}

// hashReferred returns the hash of the text with this number.
func hashReferred(number uint64, texts Table) (uint64, error) {
	var h *hashes
	if t, ok := texts.(*Hashed); ok {
		if h = t.of(number); h != nil && h.hasText {
			return h.text, nil
		}
	}
	encoded, err := lookUp(texts, number)
	if err != nil {
		return 0, err
	}
	hash, err := hashText(0, encoded)
	if h != nil && err == nil {
		h.text, h.hasText = hash, true
	}
	return hash, err
}

// hashReferredLabel returns the hash of the label with this number.
func hashReferredLabel(number uint64, texts Table) (uint64, error) {
	var h *hashes
	if t, ok := texts.(*Hashed); ok {
		if h = t.of(number); h != nil && h.hasLabel {
			return h.label, nil
		}
	}
	label, err := lookUp(texts, number)
	if err != nil {
		return 0, err
	}
	hash, err := hashLabel(label, texts)
	if h != nil && err == nil {
		h.label, h.hasLabel = hash, true
	}
	return hash, err
}
