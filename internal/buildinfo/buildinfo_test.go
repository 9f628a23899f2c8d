package buildinfo

import (
	"runtime"
	"testing"
)

func TestStringSaysWhatIsKnown(t *testing.T) {
	for _, c := range []struct {
		name string
		info Info
		want string
	}{
		{"release", Info{Version: "v1.2.3", Commit: "0123456789abcdef", Go: "go1.26", Platform: "linux/amd64"}, "v1.2.3 (commit 0123456789ab, go1.26, linux/amd64)"},
		{"modified", Info{Version: "devel", Commit: "0123456789abcdef", Modified: true, Go: "go1.26", Platform: "linux/amd64"}, "devel (commit 0123456789ab, modified, go1.26, linux/amd64)"},
		{"no checkout", Info{Version: "devel", Go: "go1.26", Platform: "linux/amd64"}, "devel (unknown commit, go1.26, linux/amd64)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.info.String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestGetNamesTheToolchainAndIsNeverEmpty(t *testing.T) {
	got := Get()
	if got.Version == "" || got.Go != runtime.Version() {
		t.Errorf("got %+v, want a version and %s", got, runtime.Version())
	}
}
