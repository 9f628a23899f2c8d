package wire

import (
	"slices"

	"grapevine/fleet"
)

// ProjectOf returns where an instance's body says its project: the number of an
// entry of the table, or the encoded text itself, or 0 and nothing.
func ProjectOf(body []byte) (ref uint64, inFull []byte) {
	for rest := body; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			return 0, nil
		}
		switch {
		case f.number == inProjectRef && f.typ == typeVarint:
			ref, inFull = f.value, nil
		case f.number == inProject && f.typ == typeBytes:
			ref, inFull = 0, f.bytes
		}
		rest = next
	}
	return ref, inFull
}

// GroupOf returns the server group that an instance's body names, zero for none.
func GroupOf(body []byte) fleet.GroupID {
	var group fleet.GroupID
	for rest := body; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			return fleet.GroupID{}
		}
		if f.number == inGroup && f.typ == typeBytes && len(f.bytes) == len(group) {
			copy(group[:], f.bytes)
		}
		rest = next
	}
	return group
}

// TextForm returns what an encoded text says, and nothing for one that cannot
// be read. It aliases either.
func TextForm(space *[128]byte, encoded []byte) []byte {
	form, err := textForm(space, encoded)
	if err != nil {
		return nil
	}
	return form
}

// Match reports whether an instance's body passes, as the instance would that
// DecodeInstance makes of it.
func (f *Filter) Match(body []byte, texts Table) bool {
	m := NewMatcher(*f)
	m.Begin(texts)
	return m.Match(body)
}

// IsZero reports whether everything passes.
func (f *Filter) IsZero() bool {
	return f.Project == "" && f.Name == "" && f.Power == "" && len(f.Labels) == 0
}

// SignTells reports whether the power that is asked for is one that a sign
// tells from all others.
func (f *Filter) SignTells() bool { return slices.Contains(powers, f.Power) }

// Matcher looks at many bodies for one filter. It looks each label of a
// block's table up once and goes by its number from then on.
type Matcher struct {
	filter Filter
	labels []soughtLabel
	texts  Table
}

// soughtLabel is a label that is asked for, and what is known of those that
// the block's table has, by number.
type soughtLabel struct {
	key, value string
	known      [knownEntries]verdict
	keys       [knownEntries]verdict // of entries that are the keys of labels
	touched    int                   // the numbers from here on are unknown
}

// knownEntries is above the entries of most tables; labels past it are looked
// up each time.
const knownEntries = 256

// verdict says what a label is to one that is asked for.
type verdict uint8

const (
	unknown verdict = iota
	broken          // it cannot be read
	another         // it has another key
	differs         // it has the key, and another value
	equal
)

// NewMatcher returns a matcher that has not begun with a block.
func NewMatcher(f Filter) *Matcher {
	m := &Matcher{filter: f, labels: make([]soughtLabel, 0, len(f.Labels))}
	for k, v := range f.Labels {
		m.labels = append(m.labels, soughtLabel{key: k, value: v})
	}
	return m
}

// Begin says that the bodies to come are of the block with this table.
func (m *Matcher) Begin(texts Table) {
	m.texts = texts
	for i := range m.labels {
		l := &m.labels[i]
		clear(l.known[:l.touched])
		clear(l.keys[:l.touched])
		l.touched = 0
	}
}

// Match reports whether an instance's body passes. It allocates nothing.
func (m *Matcher) Match(body []byte) bool {
	f := &m.filter
	if (f.Project != "" || f.Name != "" || f.Power != "") && !f.matchFields(body, m.texts) {
		return false
	}
	for i := range m.labels {
		if !m.labels[i].isOn(body, m.texts) {
			return false
		}
	}
	return true
}

// isOn reports whether the last label with this key has this value: the last
// one counts.
func (l *soughtLabel) isOn(body []byte, texts Table) bool {
	has := false
	var f field
	for at := 0; at < len(body); {
		if at = f.read(body, at); at < 0 {
			return false
		}
		v := another
		switch {
		case f.number == inLabel && f.typ == typeBytes:
			v = l.judge(f.bytes, texts)
		case f.number == inLabelRef && f.typ == typeVarint:
			v = l.judgeEntry(f.value, texts)
		}
		switch v {
		case broken:
			return false
		case differs:
			has = false
		case equal:
			has = true
		case unknown, another:
		}
	}
	return has
}

// judgeEntry is judge for an entry of the table.
func (l *soughtLabel) judgeEntry(number uint64, texts Table) verdict {
	if number < knownEntries && l.known[number] != unknown {
		return l.known[number]
	}
	v := broken
	if label, err := lookUp(texts, number); err == nil {
		v = l.judge(label, texts)
	}
	if number < knownEntries {
		l.known[number] = v
		l.touched = max(l.touched, int(number)+1) // below knownEntries
	}
	return v
}

func (l *soughtLabel) judge(label []byte, texts Table) verdict {
	if number, value, ok := plainLabel(label); ok {
		if v := l.judgeKey(number, texts); v != equal {
			return v
		}
		if isForm(value, l.value) {
			return equal
		}
		return differs
	}
	key, value, err := labelParts(label, texts)
	switch {
	case err != nil:
		return broken
	case !isForm(key, l.key):
		return another
	case !isForm(value, l.value):
		return differs
	default:
		return equal
	}
}

// judgeKey says whether the entry of the table with this number is the key.
func (l *soughtLabel) judgeKey(number uint64, texts Table) verdict {
	if number < knownEntries && l.keys[number] != unknown {
		return l.keys[number]
	}
	v := another
	if key, err := lookUp(texts, number); err != nil {
		v = broken
	} else if isForm(key, l.key) {
		v = equal
	}
	if number < knownEntries {
		l.keys[number] = v
		l.touched = max(l.touched, int(number)+1) // below knownEntries
	}
	return v
}

// matchFields is Match without the labels.
func (f *Filter) matchFields(body []byte, texts Table) bool {
	project, name, power := f.Project == "", f.Name == "", f.Power == ""
	for rest := body; len(rest) > 0; {
		field, next, err := nextField(rest)
		if err != nil {
			return false
		}
		switch {
		case field.typ == typeVarint && field.number == inProjectRef, field.typ == typeBytes && field.number == inProject:
			project = f.Project == "" || isText(&field, texts, f.Project)
		case field.typ == typeBytes && field.number == inName:
			name = f.Name == "" || string(field.bytes) == f.Name
		case field.typ == typeVarint && field.number == inPower:
			power = f.Power == "" || field.value-1 < uint64(len(powers)) && powers[field.value-1] == f.Power
		case field.typ == typeBytes && field.number == inPowerWord:
			power = f.Power == "" || string(field.bytes) == string(f.Power)
		}
		rest = next
	}
	return project && name && power
}

func isText(f *field, texts Table, want string) bool {
	encoded, err := f.bytes, error(nil)
	if f.typ == typeVarint {
		encoded, err = lookUp(texts, f.value)
	}
	return err == nil && isForm(encoded, want)
}

func isForm(encoded []byte, want string) bool {
	if n := len(encoded); n >= 2 && encoded[0] == textPlain<<3|byte(typeBytes) && int(encoded[1]) == n-2 && n < 0x80 {
		return string(encoded[2:]) == want // nearly all are such
	}
	var space [128]byte
	form, err := textForm(&space, encoded)
	return err == nil && string(form) == want
}
