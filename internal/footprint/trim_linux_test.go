package footprint

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// filePages returns how many KiB of files this process has mapped.
func filePages(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

func TestTrimmedProcessHoldsLessOfItsFileAndGoesOn(t *testing.T) {
	before := filePages(t)
	if err := Trim(); err != nil {
		t.Fatal(err)
	}
	if after := filePages(t); after >= before {
		t.Errorf("%d KiB of files before, %d after", before, after)
	}
}
