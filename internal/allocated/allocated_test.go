package allocated

import "testing"

// kept keeps what the test takes on the heap.
var kept []byte

func TestWhatACallTakesIsCounted(t *testing.T) {
	const size = 1 << 20
	if got := Bytes(func() { kept = make([]byte, size) }); got < size || got > 2*size {
		t.Errorf("a call that took %d bytes is said to have taken %d", size, got)
	}
	if got := Bytes(func() {}); got > size/2 {
		t.Errorf("a call that took nothing is said to have taken %d", got)
	}
}
