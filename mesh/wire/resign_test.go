package wire

import (
	"testing"

	"pgregory.net/rapid"
)

// Where a field ends is the same whether it is read or passed over.
func TestFieldEndsWhereReadingItDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.ByteRange(0, 0x1f)
		b := rapid.SliceOfN(rapid.OneOf(small, rapid.Byte()), 1, 16).Draw(t, "bytes")
		for at := range b {
			f, rest, err := nextField(b[at:])
			number, end := fieldEnd(b, at)
			if (err != nil) != (end < 0) {
				t.Fatalf("at %d: reading says %v, passing over ends at %d", at, err, end)
			}
			if err == nil && (number != f.number || end != len(b)-len(rest)) {
				t.Fatalf("at %d: field %d ends at %d, passed over it is %d and ends at %d", at, f.number, len(b)-len(rest), number, end)
			}
		}
	})
}

// A sign that is worked out from what changed is that of the whole row.
func TestSignOfAChangedRowIsThatOfTheRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SampledFrom([]int{inName, inPower, inVCPUs, inTask, inPowerWord, inObservedMS})
		body := func(name string) (b []byte) {
			for range rapid.IntRange(0, 6).Draw(t, name) {
				n := numbers.Draw(t, "number")
				if n == inName || n == inPowerWord {
					b = appendBytes(b, n, rapid.SampledFrom([]string{"a", "running", "stopped"}).Draw(t, "text"))
				} else {
					b = appendVarint(b, n, rapid.Uint64Range(1, 8).Draw(t, "value"))
				}
			}
			return b
		}
		old, next := body("old"), body("next")
		sign, ok := SignOf(old, nil)
		if got, told := Resign(old, sign, next); told {
			want, readable := SignOf(next, nil)
			if !ok || !readable || got != want {
				t.Fatalf("%x after %x: sign %x, by itself %x (%v)", next, old, got, want, readable)
			}
		}
	})
}
