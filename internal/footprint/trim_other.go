//go:build !linux

package footprint

import "runtime/debug"

// Trim gives the free part of the heap back to the kernel. It blocks for one
// garbage collection: call it once, when the start is over.
func Trim() error {
	debug.FreeOSMemory()
	return nil
}
