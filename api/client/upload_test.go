package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grapevine/fleet"
)

func diskImage(bytes int64) fleet.Image {
	return fleet.Image{Name: "disk", Files: []fleet.ImageFile{{Role: fleet.RoleDisk, Format: "raw", Bytes: bytes}}}
}

// broken fails with an error of its own.
type broken struct{}

var errDisk = errors.New("disk is broken")

func (broken) Read([]byte) (int, error) { return 0, errDisk }

func TestUploadWhoseOwnFileFailsBlamesTheFile(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	c := newClient(t, server.URL)
	for name, tt := range map[string]struct {
		file io.Reader
		want string
	}{
		"too short":  {strings.NewReader("1234"), "ended after 4 of 5 bytes"},
		"too long":   {strings.NewReader("123456"), "longer than the 5 bytes"},
		"unreadable": {broken{}, "disk is broken"},
	} {
		_, err := c.ImportImage(t.Context(), fleet.HostID{}, diskImage(5), tt.file)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := c.ImportImage(t.Context(), fleet.HostID{}, diskImage(5)); err == nil || !strings.Contains(err.Error(), "0 files for a manifest of 1") {
		t.Errorf("no file: %v", err)
	}
}

func TestUploadSaysItsLengthBeforehand(t *testing.T) {
	var length, read int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		read, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	if _, err := newClient(t, server.URL).ImportImage(t.Context(), fleet.HostID{}, diskImage(5), strings.NewReader("12345")); err != nil {
		t.Fatal(err)
	}
	if length <= 5 || length != read {
		t.Errorf("content length %d, body of %d bytes", length, read)
	}
}

func TestFilesAreLeftAloneAfterTheUpload(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"code":"conflict","detail":"no"}`)
	}))
	defer server.Close()
	var ended bool
	file := readerFunc(func(p []byte) (int, error) {
		if ended {
			t.Error("the file was read after the upload had returned")
		}
		return len(p), nil
	})
	_, err := newClient(t, server.URL).ImportImage(t.Context(), fleet.HostID{}, diskImage(1<<40), file)
	ended = true
	if fleet.CodeOf(err) != fleet.CodeConflict {
		t.Errorf("got %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
