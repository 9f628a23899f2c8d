package leaveout

import (
	"fmt"
	"strings"
	"testing"
)

// recorder notes how a test was ended.
type recorder struct {
	testing.TB
	failed, skipped string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}
func (r *recorder) Skipf(format string, args ...any) { r.skipped = fmt.Sprintf(format, args...) }

func TestNothingIsLeftOutInCI(t *testing.T) {
	for ci, fails := range map[string]bool{"": false, "true": true, "1": true} {
		t.Setenv("CI", ci)
		var r recorder
		func() {
			defer func() { _ = recover() }()
			Test(&r, "a tool is missing")
		}()
		if said := r.failed + r.skipped; (r.failed != "") != fails || (r.skipped != "") == fails || !strings.Contains(said, "a tool is missing") {
			t.Errorf("CI=%q: failed %q, skipped %q", ci, r.failed, r.skipped)
		}
	}
}
