package cli

import (
	"testing"
	"time"
)

func TestAgesAreInTheLargestUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0ms", 999 * time.Millisecond: "999ms", 3 * time.Second: "3s", 119 * time.Second: "119s", 2 * time.Minute: "2m",
		119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 400 * 24 * time.Hour: "400d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s): got %q, want %q", d, got, want)
		}
	}
}

func TestSizesHaveThreeDigits(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 1536: "1.50 KiB", 10 << 10: "10.0 KiB", 1023 << 10: "1023 KiB",
		1<<20 - 1: "1.00 MiB", 234 << 20: "234 MiB", 5 << 40: "5.00 TiB",
	} {
		if got := byteSize(n); got != want {
			t.Errorf("byteSize(%d): got %q, want %q", n, got, want)
		}
	}
	for mib, want := range map[int64]string{128: "128M", 1024: "1G", 1536: "1.5G", 65536: "64G", -512: "-512M", -1536: "-1.5G"} {
		if got := memory(mib); got != want {
			t.Errorf("memory(%d): got %q, want %q", mib, got, want)
		}
	}
}

func TestPrefixesAreAsLongAsTheyMustBe(t *testing.T) {
	for _, c := range []struct {
		ids  []string
		want int
	}{
		{nil, 8},
		{[]string{"11111111-aaaa", "22222222-aaaa"}, 8},
		{[]string{"11111111-aaaa", "11111111-aabb"}, 12},
	} {
		if got := shortest(c.ids); got != c.want {
			t.Errorf("shortest(%v): got %d, want %d", c.ids, got, c.want)
		}
	}
}
