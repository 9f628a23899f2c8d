// Package hostname says what this machine is called.
package hostname

import (
	"os"
	"strings"
)

// Short returns the machine's host name up to its first dot, or nothing where
// the machine does not know it.
func Short() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}
