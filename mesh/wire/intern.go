package wire

// Repeated yields the encoding of everything in an instance's body that stands
// there in full and could stand in the block's table instead, as often as it is
// there: texts, labels and the keys of labels. Bodies of other kinds have none:
// what they say stands once in a block.
func Repeated(kind Kind, body []byte, yield func(entry []byte)) {
	if kind != KindInstance {
		return
	}
	for rest := body; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			return
		}
		if inTable(f.number) > 0 && f.typ == typeBytes {
			yield(f.bytes)
			if f.number == inLabel {
				eachKey(f.bytes, yield)
			}
		}
		rest = next
	}
}

func eachKey(label []byte, yield func([]byte)) {
	for len(label) > 0 {
		f, next, err := nextField(label)
		if err != nil {
			return
		}
		if f.number == labelKey && f.typ == typeBytes {
			yield(f.bytes)
		}
		label = next
	}
}

// inTable returns the field for the number of what a field says in full, and 0
// where it has none.
func inTable(number int) int {
	switch number {
	case inProject:
		return inProjectRef
	case inFlavor:
		return inFlavorRef
	case inImage:
		return inImageRef
	case inFault:
		return inFaultRef
	case inLabel:
		return inLabelRef
	default:
		return 0
	}
}

// Intern returns the body with what number knows replaced by its number. A
// body that cannot be read stays as it is.
func Intern(kind Kind, body []byte, number func(entry []byte) (int, bool)) []byte {
	if kind != KindInstance {
		return body
	}
	out := make([]byte, 0, len(body))
	for rest := body; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			return body
		}
		ref := 0
		if f.typ == typeBytes {
			ref = inTable(f.number)
		}
		n, known := 0, false
		if ref > 0 {
			n, known = number(f.bytes)
		}
		switch {
		case known:
			out = appendVarint(out, ref, uint64(n))
		case ref == inLabelRef:
			out = appendBytes(out, inLabel, internKey(f.bytes, number))
		default:
			out = append(out, rest[:len(rest)-len(next)]...)
		}
		rest = next
	}
	return out
}

// internKey returns a label with its key by number, where number knows it.
func internKey(label []byte, number func([]byte) (int, bool)) []byte {
	out := make([]byte, 0, len(label))
	for rest := label; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			return label
		}
		n, known := 0, false
		if f.number == labelKey && f.typ == typeBytes {
			n, known = number(f.bytes)
		}
		if known {
			out = appendVarint(out, labelKeyRef, uint64(n))
		} else {
			out = append(out, rest[:len(rest)-len(next)]...)
		}
		rest = next
	}
	return out
}

// Refers yields the number of every entry of the table that an instance's body
// names.
func Refers(kind Kind, body []byte, yield func(number uint64)) {
	if kind != KindInstance {
		return
	}
	for rest := body; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err != nil {
			return
		}
		switch f.number {
		case inProjectRef, inFlavorRef, inImageRef, inFaultRef, inLabelRef:
			if f.typ == typeVarint {
				yield(f.value)
			}
		case inLabel:
			for label := f.bytes; len(label) > 0; {
				var part field
				if part, label, err = nextField(label); err != nil {
					return
				}
				if part.typ == typeVarint && part.number == labelKeyRef {
					yield(part.value)
				}
			}
		}
		rest = next
	}
}
