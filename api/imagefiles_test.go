package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

const fileTarget = "/v1/images/" + hashText + "/files/disk"

func TestImageFileIsReadInRanges(t *testing.T) {
	for _, c := range []struct {
		header, want, contentRange string
		status                     int
	}{
		{"", contentNow, "", 200},
		{"bytes=0-3", "0123", "bytes 0-3/10", 206},
		{"bytes=8-", "89", "bytes 8-9/10", 206},
		{"bytes=8-400", "89", "bytes 8-9/10", 206},
		{"bytes=-3", "789", "bytes 7-9/10", 206},
		{"bytes=-300", contentNow, "bytes 0-9/10", 206},
		{"bytes=9-9", "9", "bytes 9-9/10", 206},
		// What is not one range of bytes is ignored.
		{"bytes=0-1,3-4", contentNow, "", 200},
		{"bytes=4-2", contentNow, "", 200},
		{"bytes=-", contentNow, "", 200},
		{"bytes=+1-2", contentNow, "", 200},
		{"bytes=99999999999999999999-", contentNow, "", 200},
		{"lines=1-2", contentNow, "", 200},
	} {
		r := do(t, full(), request{method: "GET", target: fileTarget, role: AsAgent, header: map[string]string{"Range": c.header}})
		if r.Code != c.status || r.Body.String() != c.want || r.Header().Get("Content-Range") != c.contentRange {
			t.Errorf("%q: got %d %q %q, want %d %q %q", c.header, r.Code, r.Body, r.Header().Get("Content-Range"), c.status, c.want, c.contentRange)
		}
		if got := r.Header().Get("ETag"); got != `"`+hashText+`"` {
			t.Errorf("%q: ETag %s", c.header, got)
		}
	}
}

func TestRangeBehindTheEndIsRefused(t *testing.T) {
	for _, header := range []string{"bytes=10-", "bytes=10-11", "bytes=-0"} {
		r := do(t, full(), request{method: "GET", target: fileTarget, header: map[string]string{"Range": header}})
		if r.Code != http.StatusRequestedRangeNotSatisfiable || r.Header().Get("Content-Range") != "bytes */10" {
			t.Errorf("%q: got %d, Content-Range %q", header, r.Code, r.Header().Get("Content-Range"))
		}
		problemIn(t, r)
	}
}

func TestRangeOfAnotherFileIsNotSent(t *testing.T) {
	for etag, status := range map[string]int{`"` + hashText + `"`: 206, `"other"`: 200} {
		r := do(t, full(), request{method: "GET", target: fileTarget, header: map[string]string{"Range": "bytes=0-1", "If-Range": etag}})
		if r.Code != status {
			t.Errorf("If-Range %s: got %d, want %d", etag, r.Code, status)
		}
	}
}

func TestImageFileThatIsNotHeldIsNotFound(t *testing.T) {
	for _, target := range []string{strings.Replace(fileTarget, "disk", "kernel", 1), strings.Replace(fileTarget, "aa", "bb", 1)} {
		if r := do(t, full(), request{method: "GET", target: target}); r.Code != http.StatusNotFound {
			t.Errorf("%s: got %d %s", target, r.Code, r.Body)
		}
	}
}

// An image whose reading fails must not look whole.
func TestImageCutShortIsNotTakenForWhole(t *testing.T) {
	core := full()
	core.content = func(int64, int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("012"), iotest.ErrReader(errors.New("the disk is broken")))), nil
	}
	r, err := dial(t, core, AsAgent).ReadImage(t.Context(), hashText, "disk", 0, 8)
	if err != nil {
		return // the connection ended before its first bytes were flushed
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("read %q and no error", got)
	}
}
