package cloudinit_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"grapevine/drivers/cloudinit"
)

// damage returns a seed in which change was called with the directory record of
// user-data.
func damage(t *testing.T, change func(record []byte)) []byte {
	t.Helper()
	s := spec(told)
	doc := cloudinit.Of(s, s.Cards)
	seed, err := doc.Seed()
	if err != nil {
		t.Fatal(err)
	}
	change(seed[bytes.Index(seed, []byte("user-data"))-33:])
	return seed
}

// Whoever owns the storage may have written what lies where a seed should be:
// nothing of it ends the agent, or takes more than the image is long.
func TestSeedsThatNoWriterMakesAreRefusedOrLackWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(record []byte)
		read   bool
	}{
		"a folder where a file should be": {func(r []byte) { r[25] |= 2 }, true},
		"content behind the end":          {func(r []byte) { binary.LittleEndian.PutUint32(r[2:], 1<<31) }, false},
		"content past the end":            {func(r []byte) { binary.LittleEndian.PutUint32(r[10:], 1<<32-1) }, false},
		"a record shorter than its head":  {func(r []byte) { r[0] = 20 }, false},
		"a name longer than its record":   {func(r []byte) { r[32] = 255 }, false},
		"more than a guest may be told":   {func(r []byte) { r[25] |= 1 << 7 }, false},
	} {
		guest, err := cloudinit.ReadSeed(damage(t, c.change))
		if (err == nil) != c.read || guest.UserData != "" {
			t.Errorf("%s: read %q, %v", name, guest.UserData, err)
		}
	}
}

func TestSeedWhoseRootFolderIsEmptyTellsNothing(t *testing.T) {
	seed := damage(t, func([]byte) {})
	binary.LittleEndian.PutUint32(seed[16*2048+156+10:], 0)
	if _, err := cloudinit.ReadSeed(seed); err == nil {
		t.Error("a seed without meta-data was read")
	}
}
