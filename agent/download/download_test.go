package download_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/agent/download"
)

var content = bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB

// server serves content with ranges; before may answer a request itself.
func server(t *testing.T, before func(n int64, w http.ResponseWriter, r *http.Request) (answered bool)) *httptest.Server {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before != nil && before(asked.Add(1), w, r) {
			return
		}
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "disk.img", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	return s
}

func allow(t *testing.T, prefixes ...string) *download.Web {
	t.Helper()
	web, err := download.NewWeb(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return web
}

func job(t *testing.T, url string) download.Job {
	t.Helper()
	return download.Job{URL: url, Dir: t.TempDir(), Room: func() (int64, error) { return 1 << 40, nil }, Retry: time.Millisecond}
}

func wants(t *testing.T, web *download.Web, j download.Job) {
	t.Helper()
	file, err := web.Run(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v; want the %d of the file", len(got), err, len(content))
	}
}

func fails(t *testing.T, web *download.Web, j download.Job, want string) error {
	t.Helper()
	file, err := web.Run(t.Context(), j)
	if err == nil {
		file.Close()
		t.Fatal("it was downloaded")
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	return err
}

func TestDownloadTellsItsProgress(t *testing.T) {
	s := server(t, nil)
	j := job(t, s.URL+"/disk.img")
	var last, total int64
	j.Progress = func(done, of int64) { last, total = done, of }
	wants(t, allow(t, s.URL), j)
	if want := int64(len(content)); last != want || total != want {
		t.Errorf("told of %d of %d bytes, want %d", last, total, want)
	}
}

// half answers with half of the file, and breaks off.
func half(w http.ResponseWriter) {
	w.Header().Set("ETag", `"one"`)
	w.Header().Set("Content-Length", "2097152")
	_, _ = w.Write(content[:len(content)/2])
	panic(http.ErrAbortHandler)
}

func TestDownloadThatBreaksOffGoesOn(t *testing.T) {
	var second string
	s := server(t, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			half(w)
		}
		second = r.Header.Get("Range")
		return false
	})
	wants(t, allow(t, s.URL), job(t, s.URL+"/disk.img"))
	if !strings.HasPrefix(second, "bytes=") || second == "bytes=0-" {
		t.Errorf("the second request asked for %q, want what was missing", second)
	}
}

func TestDownloadGoesOnAfterARestart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var ranges []string
	s := server(t, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		ranges = append(ranges, r.Header.Get("Range"))
		if n == 1 {
			half(w)
		}
		return false
	})
	j := job(t, s.URL+"/disk.img")
	j.Progress = func(done, _ int64) {
		if done >= int64(len(content)/4) {
			cancel()
		}
	}
	if _, err := allow(t, s.URL).Run(ctx, j); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	j.Progress = nil
	wants(t, allow(t, s.URL), j)
	if last := ranges[len(ranges)-1]; last == "" || last == "bytes=0-" {
		t.Errorf("the last request asked for %q", last)
	}
	wants(t, allow(t, s.URL), j) // and once more: all of it is there
}

func TestFileThatChangedIsFetchedAnew(t *testing.T) {
	s := server(t, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			half(w)
		case 2: // If-Range does not match: all of the new file
			w.Header().Set("ETag", `"two"`)
			r.Header.Del("Range")
		}
		return false
	})
	wants(t, allow(t, s.URL), job(t, s.URL+"/disk.img"))
}

func TestServerThatSendsNothingIsGivenUp(t *testing.T) {
	held := make(chan struct{})
	s := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		select {
		case <-held:
		case <-r.Context().Done():
		}
		return true
	})
	defer close(held)
	j := job(t, s.URL+"/disk.img")
	j.Stall = 10 * time.Millisecond
	fails(t, allow(t, s.URL), j, "given up after 6 tries: the server has sent nothing for 10ms")
}

func TestAnswersThatAreNoFileEndTheDownload(t *testing.T) {
	for want, answer := range map[string]func(w http.ResponseWriter){
		"the server answered 404 Not Found": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"a web page and no disk image":      func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html; charset=utf-8") },
		"it redirects to":                   func(w http.ResponseWriter) { w.Header().Set("Location", "file:///etc/passwd"); w.WriteHeader(302) },
	} {
		asked := 0
		s := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
			asked++
			answer(w)
			return true
		})
		err := fails(t, allow(t, s.URL), job(t, s.URL+"/disk.img"), want)
		if asked != 1 {
			t.Errorf("%v: asked %d times, want once", err, asked)
		}
	}
}

func TestRedirectsAreFollowedWithinBounds(t *testing.T) {
	s := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/disk.img", http.StatusFound)
			return true
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
			return true
		}
		return false
	})
	wants(t, allow(t, s.URL), job(t, s.URL+"/moved"))
	fails(t, allow(t, s.URL), job(t, s.URL+"/round"), "redirects more than 5 times")
}

func TestOnlyPublicAddressesAreAsked(t *testing.T) {
	inside := server(t, nil)
	outside := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, inside.URL+"/disk.img", http.StatusFound)
		return true
	})
	for _, c := range []struct {
		web *download.Web
		url string
	}{
		{allow(t), inside.URL + "/disk.img"},
		{allow(t), strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)},
		{allow(t), "http://169.254.169.254/latest/meta-data/"},
		{allow(t), "http://[::1]:80/"},
		{allow(t), "http://[::ffff:10.0.0.1]/"},
		{allow(t), "http://[64:ff9b::7f00:1]/"},
		{allow(t), "http://0.0.0.0/"},
		{allow(t), "http://100.64.1.1/"},
		{allow(t, outside.URL), outside.URL + "/moved"}, // a redirect is judged by itself
		{allow(t, inside.URL+"/images"), inside.URL + "/disk.img"},
		{allow(t, inside.URL+"/images"), inside.URL + "/imagesandmore"},
		{allow(t, inside.URL+"/images"), inside.URL + "/images/../disk.img"},
	} {
		err := fails(t, c.web, job(t, c.url), "not a public address")
		if !errors.Is(err, download.ErrForbidden) {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	wants(t, allow(t, inside.URL+"/images"), job(t, inside.URL+"/images/disk.img"))
}

func TestNoRoomIsTold(t *testing.T) {
	s := server(t, nil)
	j := job(t, s.URL+"/disk.img")
	j.Room = func() (int64, error) { return int64(len(content)) - 1, nil }
	if err := fails(t, allow(t, s.URL), j, "MiB are missing"); !errors.Is(err, download.ErrOutOfSpace) {
		t.Errorf("got %v", err)
	}
}
