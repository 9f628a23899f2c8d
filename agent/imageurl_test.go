package agent_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/agent"
	"grapevine/fleet"
)

// webServer serves content; the first so many requests are cut in half and then
// held until the end of the test.
func webServer(t *testing.T, content []byte, halves int64) (url string, asked *atomic.Int64, half chan struct{}) {
	t.Helper()
	asked, half = &atomic.Int64{}, make(chan struct{})
	held := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		if asked.Add(1) > halves {
			http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader(content))
			return
		}
		w.Header().Set("Content-Length", "20971520")
		_, _ = w.Write(content[:len(content)/2])
		_ = http.NewResponseController(w).Flush()
		close(half)
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(held); s.Close() })
	return s.URL, asked, half
}

// ended waits for the end of an operation.
func (s *site) outcome(id string) fleet.Operation {
	s.t.Helper()
	var op fleet.Operation
	s.until("the operation has ended", func() bool {
		var err error
		if op, err = s.Operation(s.t.Context(), id); err != nil {
			s.t.Fatal(err)
		}
		return op.State != fleet.OperationRunning
	})
	return op
}

func TestImageIsDownloadedAcrossARestart(t *testing.T) {
	want, content := ranged()
	url, asked, half := webServer(t, content, 1)
	s := newSite(t, func(c *agent.Config) { c.ImageURLs = []string{url} })
	begun, err := s.ImportURL(t.Context(), fleet.HostID{}, fleet.ImportURL{Name: "ranged", URL: url + "/disk.img", SHA256: want.ID})
	if err != nil {
		t.Fatal(err)
	}
	<-half
	s.until("half of it is there", func() bool {
		op, err := s.Operation(t.Context(), begun.ID)
		if err != nil {
			t.Fatal(err)
		}
		return op.Step == "downloading" && op.Progress != nil && *op.Progress == fleet.Progress{DoneBytes: want.Bytes / 2, TotalBytes: want.Bytes}
	})
	s.restart()
	if op := s.outcome(begun.ID); op.State != fleet.OperationSucceeded || op.Image != want.ID || op.Progress != nil {
		t.Errorf("the operation ended as %+v", op)
	}
	if asked.Load() != 2 {
		t.Errorf("the server was asked %d times, want 2", asked.Load())
	}
	s.holds(want)
}

func TestDownloadThatIsNotTheImageFailsAndLeavesNothing(t *testing.T) {
	im, content := ranged()
	url, _, _ := webServer(t, content, 0)
	packed, _, _ := webServer(t, []byte("\x1f\x8b\x08 a disk, packed"), 0)
	s := newSite(t, func(c *agent.Config) { c.ImageURLs = []string{url, packed} })
	for _, c := range []struct{ url, sha256, want string }{
		{url, strings.Repeat("0", 64), "has the sha256 " + im.ID},
		{packed, "", "is compressed; unpack it with: gunzip"},
		{"http://127.0.0.1:1/", "", "is not a public address; the host's image_urls can allow it"},
	} {
		op, err := s.ImportURL(t.Context(), fleet.HostID{}, fleet.ImportURL{Name: "x", URL: c.url, SHA256: c.sha256})
		if err != nil {
			t.Fatal(err)
		}
		if op = s.outcome(op.ID); op.State != fleet.OperationFailed || !strings.Contains(op.Fault, c.want) {
			t.Errorf("%s ended as %s: %q, want %q", c.url, op.State, op.Fault, c.want)
		}
	}
	s.spoolIsEmpty()
	if host := s.host(); len(host.Images) != 1 {
		t.Errorf("the host holds %v, want tiny alone", host.Images)
	}
	for _, bad := range []string{"ftp://example.org/x", "https://user:secret@example.org/x", "/etc/passwd", ""} {
		_, err := s.ImportURL(t.Context(), fleet.HostID{}, fleet.ImportURL{Name: "x", URL: bad})
		code(t, err, fleet.CodeInvalid)
	}
}
