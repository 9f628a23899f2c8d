package download

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"grapevine/internal/pause"
)

// ErrOutOfSpace says that there is no room for the file.
var ErrOutOfSpace = errors.New("out of space for the download")

// Job is one download.
type Job struct {
	URL string
	// Dir is a folder that is this download's alone. Where it holds the beginning
	// of the same file, the download goes on behind it.
	Dir string
	// Room returns how many bytes may still be written.
	Room func() (int64, error)
	// Progress, if set, is told how many bytes are there, of how many in all; 0
	// where the server does not say.
	Progress func(done, total int64)
	// Stall is how long the server may send nothing, Retry how long a try that
	// failed is waited after; the defaults when 0.
	Stall, Retry time.Duration
}

const (
	maxTries = 6 // in a row without a byte
	stall    = 30 * time.Second
	retry    = time.Second
	chunk    = 1 << 20
	fileName = "download"
	noteName = "download.json"
)

// note is what is known of a file of which a part is there: enough to tell
// whether the server still has the same.
type note struct {
	URL       string `json:"url"`
	Validator string `json:"validator"` // strong ETag, or Last-Modified
	Total     int64  `json:"total"`
}

// permanentError ends the tries.
type permanentError struct{ error }

// Unwrap returns the cause.
func (e permanentError) Unwrap() error { return e.error }

// Run downloads the file and returns it, open for reading. What has come stays in
// Dir on an error, for the next try, except where it is of no use. The caller
// removes Dir when all is done.
func (w *Web) Run(ctx context.Context, job Job) (*os.File, error) {
	if job.Stall == 0 {
		job.Stall = stall
	}
	if job.Retry == 0 {
		job.Retry = retry
	}
	if job.Progress == nil {
		job.Progress = func(int64, int64) {}
	}
	if err := os.MkdirAll(job.Dir, 0o700); err != nil {
		return nil, full(err)
	}
	file, err := os.OpenFile(filepath.Join(job.Dir, fileName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, full(err)
	}
	d := &download{web: w, job: job, file: file}
	if err := d.persist(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// download is one on its way.
type download struct {
	web  *Web
	job  Job
	file *os.File
	have int64
	note note
}

// persist tries until the file is whole, as long as there is progress.
func (d *download) persist(ctx context.Context) error {
	d.recall()
	wait := d.job.Retry
	for failed := 0; ; {
		before := d.have
		err := d.try(ctx)
		if err == nil {
			return nil
		}
		if _, permanent := errors.AsType[permanentError](err); permanent || ctx.Err() != nil {
			return err
		}
		if failed++; d.have > before {
			failed, wait = 0, d.job.Retry
		}
		if failed == maxTries {
			return fmt.Errorf("given up after %d tries: %w", failed, err)
		}
		if !pause.UpTo(ctx, wait) {
			return errors.Join(err, ctx.Err())
		}
		wait *= 2
	}
}

// recall finds out what an earlier try has left.
func (d *download) recall() {
	text, err := os.ReadFile(filepath.Join(d.job.Dir, noteName))
	info, statErr := d.file.Stat()
	if err != nil || statErr != nil || json.Unmarshal(text, &d.note) != nil || d.note.URL != d.job.URL {
		d.note = note{}
		return
	}
	d.have = info.Size()
}

// try asks once, for what is missing.
func (d *download) try(ctx context.Context) error {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alarm := time.AfterFunc(d.job.Stall, func() { cancel(fmt.Errorf("the server has sent nothing for %s", d.job.Stall)) })
	defer alarm.Stop()
	header := http.Header{}
	if d.have > 0 && d.note.Validator != "" {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
		header.Set("If-Range", d.note.Validator)
	}
	resp, err := d.web.get(reading, d.job.URL, header)
	if err != nil {
		if errors.Is(err, ErrForbidden) {
			return permanentError{err}
		}
		return because(reading, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	done, err := d.begin(resp)
	if err != nil || done {
		return err
	}
	if err := d.room(); err != nil {
		return err
	}
	if err := d.copy(resp.Body, func() { alarm.Reset(d.job.Stall) }); err != nil {
		return because(reading, err)
	}
	return nil
}

// begin judges the answer and makes the file ready for its content. Done says
// that all of it was there before.
func (d *download) begin(resp *http.Response) (done bool, err error) {
	switch resp.StatusCode {
	case http.StatusOK:
		return false, d.anew(resp)
	case http.StatusPartialContent:
		var first, last, total int64
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
		if err != nil || first != d.have || total != d.note.Total {
			d.have, d.note = 0, note{}
			return false, fmt.Errorf("the server answered with the range %.80q", resp.Header.Get("Content-Range"))
		}
		_, err = d.file.Seek(d.have, io.SeekStart)
		return false, err
	case http.StatusRequestedRangeNotSatisfiable:
		if d.have > 0 && d.have == d.note.Total {
			d.job.Progress(d.have, d.note.Total)
			return true, nil
		}
		d.have, d.note = 0, note{}
		return false, errors.New("the server does not have the file any more that the download began with")
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false, fmt.Errorf("the server answered %s", resp.Status)
	default:
		return false, permanentError{fmt.Errorf("the server answered %s", resp.Status)}
	}
}

// anew begins at the beginning.
func (d *download) anew(resp *http.Response) error {
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return permanentError{errors.New("the server sent a web page and no disk image; give the address of the file itself")}
	}
	d.have, d.note = 0, note{URL: d.job.URL, Validator: validator(resp.Header), Total: max(resp.ContentLength, 0)}
	text, err := json.Marshal(d.note)
	if err != nil {
		return err
	}
	_, seekErr := d.file.Seek(0, io.SeekStart)
	err = errors.Join(os.WriteFile(filepath.Join(d.job.Dir, noteName), text, 0o600), d.file.Truncate(0), seekErr)
	return full(err)
}

// validator is what tells one version of a file from another; empty where the
// server gives nothing of use.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

// room makes sure that what is missing has room.
func (d *download) room() error {
	room, err := d.job.Room()
	if err != nil {
		return permanentError{err}
	}
	if missing := max(d.note.Total-d.have, chunk); missing > room {
		return permanentError{fmt.Errorf("%w: %d MiB are free, and %d MiB are missing", ErrOutOfSpace, max(room, 0)>>20, missing>>20)}
	}
	return nil
}

// lookForRoom is after how many bytes the room is looked at again: others write
// to the same disk, and a server need not say how long the file is.
const lookForRoom = 64 << 20

func (d *download) copy(from io.Reader, alive func()) error {
	d.job.Progress(d.have, d.note.Total)
	buf := make([]byte, chunk)
	for looked := d.have; ; {
		n, err := from.Read(buf)
		alive()
		if n > 0 {
			if _, err := d.file.Write(buf[:n]); err != nil {
				return permanentError{full(err)}
			}
			d.have += int64(n)
			d.job.Progress(d.have, d.note.Total)
		}
		switch {
		case d.note.Total > 0 && d.have > d.note.Total:
			return permanentError{fmt.Errorf("the server sent more than the %d bytes that it promised", d.note.Total)}
		case errors.Is(err, io.EOF) && d.have < d.note.Total:
			return fmt.Errorf("the server ended after %d of %d bytes", d.have, d.note.Total)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if d.have-looked >= lookForRoom {
			looked = d.have
			if err := d.room(); err != nil {
				return err
			}
		}
	}
}

// because prefers the reason why a context ended to the fact that it did.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// full turns the error of a write to a full disk into ErrOutOfSpace.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrOutOfSpace, err)
	}
	return err
}
