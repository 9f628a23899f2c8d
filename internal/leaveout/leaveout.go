// Package leaveout leaves tests out on machines that lack what they need, and
// lets none be left out in CI.
package leaveout

import (
	"os"
	"testing"
)

// Test ends the test, or the benchmark, that why says this machine cannot run:
// it is skipped, and with the variable CI set it fails.
func Test(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatalf("%s, and in CI no test is left out: run scripts/setup-test-host as root", why)
	}
	tb.Skipf("left out: %s; scripts/setup-test-host, run as root, sets a machine up", why)
}
