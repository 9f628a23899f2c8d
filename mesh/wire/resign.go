package wire

import (
	"encoding/binary"
	"math/bits"
)

// Resign returns the sign of a body that takes the place of another with this
// sign. It reports false unless the two differ only in numbers that name no
// text, as after most changes.
func Resign(old []byte, sign Sign, body []byte) (Sign, bool) {
	if sign == 0 {
		return 0, false
	}
	was, is, powerStays := numbers{body: old}, numbers{body: body}, false
	for {
		powerStays = was.common(&is) || powerStays
		if was.left()+is.left() == 0 {
			break
		}
		passed, wrong := was.pass()
		passedToo, wrongToo := is.pass()
		if wrong || wrongToo || !passed && !passedToo {
			return 0, false // what differs says more than numbers do
		}
	}
	switch {
	case (was.power > 0) != (is.power > 0), is.power > 0 && powerStays:
		return 0, false
	case is.power > 0:
		sign = sign&^signPowerMask | powerSign(is.power)
	}
	return max(sign, 1), true
}

// numbers goes through a body of which another differs in numbers.
type numbers struct {
	body  []byte
	at    int
	power int // the last one passed
}

func (n *numbers) left() int { return len(n.body) - n.at }

// common moves both behind the fields that come next in both, and reports
// whether one of them is the power.
func (n *numbers) common(o *numbers) (power bool) {
	same := commonLength(n.body[n.at:], o.body[o.at:])
	from, most := n.at, n.at+same
	for n.at < most {
		number, end := fieldEnd(n.body, n.at)
		if end < 0 || end > most {
			break
		}
		power = power || number == inPower || number == inPowerWord
		n.at = end
	}
	o.at += n.at - from
	return power
}

// pass moves behind the next field, if there is one and it is a number that
// names no text. It reports wrong for one that cannot be read.
func (n *numbers) pass() (passed, wrong bool) {
	if n.left() == 0 {
		return false, false
	}
	f, rest, err := nextField(n.body[n.at:])
	if err != nil {
		return false, true
	}
	switch f.number {
	case inVCPUs, inMemoryMiB, inDiskGiB, inCreatedAtMS, inGeneration, inObservedMS:
	case inPower:
		n.power = int(min(f.value, 1<<8))
		wrong = f.typ != typeVarint || checkWord(f.value, len(powers)) != nil
	case inTask:
		wrong = f.typ != typeVarint || checkWord(f.value, len(tasks)) != nil
	default:
		return false, false
	}
	n.at = len(n.body) - len(rest)
	return true, wrong
}

// commonLength returns how many bytes a and b have in common at their starts.
func commonLength(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
