package placement

import "slices"

// bitmap is a set of small numbers: host slots, or classes. It spans only the
// words from the lowest to the highest that ever had a member, so that the
// bitmap of an image which one host holds takes a word and not a kilobyte.
type bitmap struct {
	base  int // which word of the whole words[0] is
	words []uint64
	n     int // how many members
}

// has reports whether i is in the set.
func (b *bitmap) has(i int32) bool { return b.word(int(i>>6))>>(i&63)&1 == 1 }

// word returns the members from 64*w to 64*w+63.
func (b *bitmap) word(w int) uint64 {
	if w -= b.base; uint(w) < uint(len(b.words)) {
		return b.words[w]
	}
	return 0
}

// add puts i, which is not in the set, into it.
func (b *bitmap) add(i int32) {
	w := int(i >> 6)
	switch {
	case len(b.words) == 0:
		b.base, b.words = w, []uint64{0}
	case w < b.base:
		b.words = slices.Insert(b.words, 0, make([]uint64, b.base-w)...)
		b.base = w
	case w >= b.base+len(b.words):
		b.words = append(b.words, make([]uint64, w+1-b.base-len(b.words))...)
	}
	b.words[w-b.base] |= 1 << (i & 63)
	b.n++
}

// remove takes i, which is in the set, out of it.
func (b *bitmap) remove(i int32) {
	b.words[int(i>>6)-b.base] &^= 1 << (i & 63)
	b.n--
}

// sets are bitmaps by name; a name without members has none.
type sets = setsBy[string]

type setsBy[K comparable] map[K]*bitmap

func (s setsBy[K]) add(name K, i int32) {
	b := s[name]
	if b == nil {
		b = &bitmap{}
		s[name] = b
	}
	if !b.has(i) { // a name may be given twice
		b.add(i)
	}
}

func (s setsBy[K]) remove(name K, i int32) {
	b := s[name]
	if b == nil || !b.has(i) {
		return
	}
	if b.remove(i); b.n == 0 {
		delete(s, name)
	}
}
