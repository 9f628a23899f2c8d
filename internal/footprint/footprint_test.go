package footprint

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyWhatTheProcessCannotHaveChangedIsUnmapped(t *testing.T) {
	const maps = `00400000-00a1c000 r-xp 00000000 fe:01 131 /usr/local/bin/grape vine
00a1c000-01200000 r--p 0061c000 fe:01 131                        /usr/local/bin/grape vine
01200000-01240000 rw-p 00e00000 fe:01 131                        /usr/local/bin/grape vine
7f0000000000-7f0000002000 r--p 00000000 fe:01 77                 /usr/lib/grape vine
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                  [stack]
7ffc00100000-7ffc00102000 r-xp 00000000 00:00 0
`
	got, err := readOnly(strings.NewReader(maps), "/usr/local/bin/grape vine")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]span{{0x400000, 0xa1c000}, {0xa1c000, 0x1200000}}, got, cmp.AllowUnexported(span{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := readOnly(strings.NewReader("nonsense\n"), ""); err == nil {
		t.Error("a line of nonsense is no error")
	}
}
