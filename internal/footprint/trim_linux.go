package footprint

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
)

// Trim gives the free part of the heap back to the kernel, and unmaps the
// pages of the program's file. Those that are needed after all come back from
// the page cache one fault at a time, without anybody noticing. It blocks for
// one garbage collection: call it once, when the start is over.
func Trim() error {
	debug.FreeOSMemory()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program's file: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("read what is mapped: %w", err)
	}
	spans, err := readOnly(maps, program)
	if err := errors.Join(err, maps.Close()); err != nil {
		return err
	}
	for _, s := range spans {
		if _, _, failed := syscall.Syscall(syscall.SYS_MADVISE, s.from, s.to-s.from, syscall.MADV_DONTNEED); failed != 0 {
			return fmt.Errorf("unmap pages of the program: %w", failed)
		}
	}
	return nil
}
