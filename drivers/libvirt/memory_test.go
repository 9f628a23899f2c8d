package libvirt

import (
	"fmt"
	"math"
	"testing"
)

// What a domain says that somebody else has defined is of any size, and must not come
// out as less than nothing: a host would have the more to give away.
func TestMemoryOfAnySizeIsNeverLessThanNothing(t *testing.T) {
	const most = math.MaxInt64 >> 20 // of bytes that a signed number counts
	for _, tt := range []struct {
		value int64
		unit  string
		want  int64
	}{
		{131072, "KiB", 128},
		{131073, "KiB", 129},
		{131072, "", 128},
		{1, "b", 1},
		{1 << 20, "bytes", 1},
		{128, "MiB", 128},
		{128, "M", 128},
		{2, "GiB", 2048},
		{2, "G", 2048},
		{0, "KiB", 0},
		{0, "b", 0},
		{math.MaxInt64, "b", most},
		{math.MaxInt64, "KiB", most},
		{math.MaxInt64, "MiB", most},
		{math.MaxInt64, "GiB", most},
		{1 << 53, "KiB", most},
		{1 << 54, "KiB", most},
		{1 << 33, "GiB", most},
		{1 << 34, "GiB", most},
		{1<<33 - 1, "GiB", most - 1023},
		{-1, "KiB", 0},
		{math.MinInt64, "b", 0},
		{math.MinInt64, "GiB", 0},
	} {
		if got := (memory{Value: tt.value, Unit: tt.unit}).mib(); got != tt.want {
			t.Errorf("%d %q is %d MiB, want %d", tt.value, tt.unit, got, tt.want)
		}
	}
}

func TestDomainOfAnyNumbersIsRead(t *testing.T) {
	for _, n := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
		seen, err := parseDomain(fmt.Sprintf(`<domain><memory unit="GiB">%d</memory><vcpu current="%d">%d</vcpu></domain>`, n, n, n))
		if err != nil {
			t.Fatal(err)
		}
		if seen.VCPUs() < 0 || seen.VCPUs() > math.MaxInt32 || seen.Memory.mib() < 0 {
			t.Errorf("of %d it reads %d vCPUs and %d MiB", n, seen.VCPUs(), seen.Memory.mib())
		}
	}
}
