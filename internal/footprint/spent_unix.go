//go:build unix

package footprint

import (
	"syscall"
	"time"
)

// spent returns the processor time that this process has spent so far, and
// whether the system tells it.
func spent() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
