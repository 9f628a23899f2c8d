package wire

import (
	"math/bits"
	"slices"

	"grapevine/fleet"
)

// Filter says which instances are looked for; a zero field says nothing.
type Filter struct {
	Project string
	Name    string
	Power   fleet.Power
	Labels  map[string]string // all of these; an empty value is one that is set and empty
}

// Sign is 64 bits about an instance, by which a filter passes over most rows
// without reading them:
//
//	bits 56-63  of the hash of the project
//	bits 53-55  power, 0 for a word without a number
//	bits 45-52  of the hash of the name
//	bits  0-44  three for each label, chosen by its hash (a Bloom filter)
//
// With four labels a filter for a label that no row has lets 1.3 % of the rows
// through, a filter for a name or a project 0.4 %.
type Sign = uint64

const (
	signProjectAt   = 56
	signPowerAt     = 53
	signNameAt      = 45
	signLabelBits   = 45
	signProjectMask = Sign(1<<8-1) << signProjectAt
	signPowerMask   = Sign(1<<3-1) << signPowerAt
	signNameMask    = Sign(1<<8-1) << signNameAt
)

// SameProject reports whether two signs may be of instances of one project.
func SameProject(a, b Sign) bool { return (a^b)&signProjectMask == 0 }

func projectSign(h uint64) Sign { return h >> (64 - 8) << signProjectAt }

func nameSign(h uint64) Sign { return h >> (64 - 8) << signNameAt }

func labelSign(h uint64) Sign {
	var s Sign
	for range 3 {
		hi, lo := bits.Mul64(h, signLabelBits) // the upper bits choose one of 37
		s, h = s|1<<hi, lo
	}
	return s
}

func powerSign(number int) Sign { return Sign(number) << signPowerAt & signPowerMask }

// hashOf is FNV-1a, with its bits mixed well enough for the upper ones to be
// used: it spreads rows, and nothing rests on it.
func hashOf[T string | []byte](seed uint64, s T) uint64 {
	h := seed ^ 0xcbf29ce484222325
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	h ^= h >> 32
	return h * 0x9E3779B97F4A7C15
}

// Sign returns the bits that a row's sign must have among those of mask for
// the row to pass.
func (f *Filter) Sign() (want, mask Sign) {
	if f.Project != "" {
		want, mask = want|projectSign(hashOf(0, f.Project)), mask|signProjectMask
	}
	if f.Name != "" {
		want, mask = want|nameSign(hashOf(0, f.Name)), mask|signNameMask
	}
	if f.Power != "" {
		want, mask = want|powerSign(slices.Index(powers, f.Power)+1), mask|signPowerMask
	}
	for k, v := range f.Labels {
		s := labelSign(hashOf(hashOf(0, k), v))
		want, mask = want|s, mask|s
	}
	return want, mask
}

// SignOf returns the sign of an instance's body. It reports false, and zero,
// where DecodeInstance would fail: for a body that cannot be read, or that
// names a text which is not in the table.
func SignOf(body []byte, texts Table) (Sign, bool) {
	t := Hashed{table: texts}
	return t.SignOf(body)
}

// noSign is the sign of what has no field.
var noSign = projectSign(hashOf(0, "")) | nameSign(hashOf(0, ""))

func checkWord(number uint64, words int) error {
	if number-1 >= uint64(words) {
		return errBody
	}
	return nil
}

// hashText returns the hash of an encoded text.
func hashText(seed uint64, encoded []byte) (uint64, error) {
	if n := len(encoded); n >= 2 && encoded[0] == textPlain<<3|byte(typeBytes) && int(encoded[1]) == n-2 && n < 0x80 && isASCII(encoded[2:]) {
		return hashOf(seed, encoded[2:]), nil // nearly all are such
	}
	var space [128]byte
	form, err := textForm(&space, encoded)
	return hashOf(seed, form), err
}
