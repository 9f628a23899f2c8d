package built

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// PTY returns a terminal that is closed at the test's end: what is written to
// the keyboard is read from the tty, and the other way round.
func PTY(tb testing.TB) (keyboard, tty *os.File) {
	tb.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		tb.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		tb.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = tty.Close() })
	return keyboard, tty
}
