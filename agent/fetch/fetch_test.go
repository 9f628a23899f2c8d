package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"grapevine/agent/fetch"
	"grapevine/fleet"
)

const step = 1000 // bytes of a range

// disk is an image of one disk of n bytes.
func disk(n int) (fleet.Image, []byte) {
	content := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(n), Format: "raw", VirtualBytes: int64(n)}
	return fleet.Image{ID: f.SHA256, Name: "disk", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}, content
}

// holder gives a content, and counts.
type holder struct {
	content []byte
	// before, if set, is asked before each range and may fail it.
	before func(n int64) error
	asked  atomic.Int64
	sent   atomic.Int64
}

func (h *holder) source(name string) fetch.Source {
	return fetch.Source{Name: name, Read: func(_ context.Context, _ fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
		if n := h.asked.Add(1); h.before != nil {
			if err := h.before(n); err != nil {
				return nil, err
			}
		}
		h.sent.Add(length)
		return io.NopCloser(bytes.NewReader(h.content[offset : offset+length])), nil
	}}
}

func always(sources ...fetch.Source) func() []fetch.Source {
	return func() []fetch.Source { return sources }
}

func open(t *testing.T, change func(*fetch.Config)) (*fetch.Spool, string) {
	t.Helper()
	cfg := fetch.Config{Dir: filepath.Join(t.TempDir(), "spool"), RangeBytes: step, Retry: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	s, err := fetch.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, cfg.Dir
}

// wants reads the content and closes it; then nothing is left.
func wants(t *testing.T, dir string, got *fetch.Content, err error, want []byte) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(got.Reader())
	if err = errors.Join(err, got.Close()); err != nil || !bytes.Equal(content, want) {
		t.Errorf("got %d bytes, %v; want the %d of the image", len(content), err, len(want))
	}
	empty(t, dir)
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

func TestRangesComeFromAllHoldersOnce(t *testing.T) {
	im, content := disk(50*step + 7)
	s, dir := open(t, nil)
	a, b := &holder{content: content}, &holder{content: content}
	var met sync.WaitGroup // both have been asked before either answers
	met.Add(2)
	meet := func(n int64) error {
		if n == 1 {
			met.Done()
			met.Wait()
		}
		return nil
	}
	a.before, b.before = meet, meet
	got, err := s.Fetch(t.Context(), im, always(a.source("a"), b.source("b")), nil)
	wants(t, dir, got, err, content)
	if sum := a.sent.Load() + b.sent.Load(); sum != im.Bytes || a.sent.Load() == 0 || b.sent.Load() == 0 {
		t.Errorf("a sent %d bytes, b %d; want %d in all, and some from each", a.sent.Load(), b.sent.Load(), im.Bytes)
	}
}

func TestAllFilesOfAnImageCome(t *testing.T) {
	kernel, initrd := []byte(strings.Repeat("kernel", 500)), []byte("initrd")
	im := fleet.Image{Name: "two", Bytes: int64(len(kernel) + len(initrd))}
	for role, content := range map[fleet.ImageRole][]byte{fleet.RoleKernel: kernel, fleet.RoleInitrd: initrd} {
		sum := sha256.Sum256(content)
		im.Files = append(im.Files, fleet.ImageFile{Role: role, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))})
	}
	im.ID = fleet.ImageID(im.Files, "")
	source := fetch.Source{Name: "a", Read: func(_ context.Context, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
		content := map[fleet.ImageRole][]byte{fleet.RoleKernel: kernel, fleet.RoleInitrd: initrd}[role]
		return io.NopCloser(bytes.NewReader(content[offset : offset+length])), nil
	}}
	s, dir := open(t, nil)
	got, err := s.Fetch(t.Context(), im, always(source), nil)
	want := append(bytes.Clone(kernel), initrd...)
	if im.Files[0].Role == fleet.RoleInitrd {
		want = append(bytes.Clone(initrd), kernel...)
	}
	wants(t, dir, got, err, want)
}

func TestRangesOfAHolderThatDiesGoToAnother(t *testing.T) {
	im, content := disk(30 * step)
	s, dir := open(t, nil)
	died := errors.New("connection reset")
	dying := &holder{content: content, before: func(n int64) error {
		if n > 3 {
			return died
		}
		return nil
	}}
	alive := &holder{content: content}
	got, err := s.Fetch(t.Context(), im, always(dying.source("dying"), alive.source("alive")), nil)
	wants(t, dir, got, err, content)
	if dying.sent.Load()+alive.sent.Load() != im.Bytes {
		t.Errorf("%d bytes were sent, want each byte once", dying.sent.Load()+alive.sent.Load())
	}
}

func TestRangeThatBreaksOffIsAskedForAgain(t *testing.T) {
	im, content := disk(10 * step)
	whole := &holder{content: content}
	broken := 0
	torn := whole.source("a")
	read := torn.Read
	torn.Read = func(ctx context.Context, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
		r, err := read(ctx, role, offset, length)
		if broken++; broken%3 != 0 || err != nil {
			return r, err
		}
		return io.NopCloser(io.MultiReader(io.LimitReader(r, length/2), iotest.ErrReader(io.ErrUnexpectedEOF))), nil
	}
	s, dir := open(t, func(c *fetch.Config) { c.AtOnce = 1 })
	got, err := s.Fetch(t.Context(), im, always(torn), nil)
	wants(t, dir, got, err, content)
}

func TestFetchGoesOnAfterARestart(t *testing.T) {
	im, content := disk(20 * step)
	dir := t.TempDir()
	cfg := fetch.Config{Dir: dir, RangeBytes: step, AtOnce: 1, Retry: time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	first := &holder{content: content, before: func(n int64) error {
		if n == 13 {
			cancel()
			return ctx.Err()
		}
		return nil
	}}
	s, err := fetch.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(ctx, im, always(first.source("a")), nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that it was cancelled", err)
	}
	if s, err = fetch.Open(cfg); err != nil {
		t.Fatal(err)
	}
	second := &holder{content: content}
	var told []int64
	got, err := s.Fetch(t.Context(), im, always(second.source("a")), func(done int64) { told = append(told, done) })
	if want := int64(8 * step); second.sent.Load() != want {
		t.Errorf("%d bytes were sent again, want %d", second.sent.Load(), want)
	}
	if len(told) == 0 || told[0] != 12*step || told[len(told)-1] != 20*step {
		t.Errorf("progress began and ended with %v", told)
	}
	wants(t, dir, got, err, content)
}

func TestCorruptHolderIsNamedAndTheOthersServe(t *testing.T) {
	im, content := disk(20 * step)
	wrong := bytes.Clone(content)
	wrong[5] ^= 1
	wrong[19*step] ^= 1
	for range 10 { // whoever comes first
		s, dir := open(t, nil)
		bad, good := &holder{content: wrong}, &holder{content: content}
		got, err := s.Fetch(t.Context(), im, always(bad.source("bad"), good.source("good")), nil)
		wants(t, dir, got, err, content)
	}
	s, dir := open(t, nil)
	bad := &holder{content: wrong}
	_, err := s.Fetch(t.Context(), im, always(bad.source("bad")), nil)
	if !errors.Is(err, fetch.ErrBadContent) || !strings.Contains(err.Error(), "it came from bad") {
		t.Errorf("got %v", err)
	}
	if bad.sent.Load() != im.Bytes {
		t.Errorf("%d bytes were fetched from the one holder there is, want %d once", bad.sent.Load(), im.Bytes)
	}
	empty(t, dir)
}

func TestWhatAnEarlierTryLeftWrongIsFetchedAnew(t *testing.T) {
	im, content := disk(20 * step)
	wrong := bytes.Clone(content)
	wrong[5] ^= 1
	s, dir := open(t, func(c *fetch.Config) { c.AtOnce = 1 })
	gone := errors.New("gone")
	bad := &holder{content: wrong, before: func(n int64) error {
		if n > 10 {
			return gone
		}
		return nil
	}}
	if _, err := s.Fetch(t.Context(), im, always(bad.source("a")), nil); !errors.Is(err, gone) || !errors.Is(err, fetch.ErrNoSource) {
		t.Fatalf("got %v", err)
	}
	good := &holder{content: content}
	got, err := s.Fetch(t.Context(), im, always(good.source("b")), nil)
	wants(t, dir, got, err, content)
}

func TestBusyHolderIsAskedAgain(t *testing.T) {
	im, content := disk(5 * step)
	s, dir := open(t, nil)
	h := &holder{content: content, before: func(n int64) error {
		if n < 20 {
			return fmt.Errorf("too many readers: %w", fetch.ErrBusy)
		}
		return nil
	}}
	got, err := s.Fetch(t.Context(), im, always(h.source("a")), nil)
	wants(t, dir, got, err, content)
}

func TestHolderThatSendsNothingIsGivenUp(t *testing.T) {
	im, content := disk(5 * step)
	s, dir := open(t, func(c *fetch.Config) { c.Stall = 20 * time.Millisecond })
	frozen := fetch.Source{Name: "frozen", Read: func(ctx context.Context, _ fleet.ImageRole, _, _ int64) (io.ReadCloser, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := s.Fetch(t.Context(), im, always(frozen), nil)
	if !errors.Is(err, fetch.ErrNoSource) || !strings.Contains(err.Error(), "it has sent nothing for 20ms") {
		t.Errorf("got %v", err)
	}
	got, err := s.Fetch(t.Context(), im, always(frozen, (&holder{content: content}).source("alive")), nil)
	wants(t, dir, got, err, content)
}

func TestWhoGetsTheImageMeanwhileGivesToo(t *testing.T) {
	im, content := disk(40 * step)
	s, dir := open(t, func(c *fetch.Config) { c.AtOnce = 2 })
	gone := errors.New("gone")
	first := &holder{content: content, before: func(n int64) error {
		if n > 5 {
			return gone
		}
		return nil
	}}
	second := &holder{content: content}
	got, err := s.Fetch(t.Context(), im, func() []fetch.Source {
		if first.asked.Load() < 5 {
			return []fetch.Source{first.source("first")}
		}
		return []fetch.Source{first.source("first"), second.source("second")}
	}, nil)
	wants(t, dir, got, err, content)
}

func TestNoRoomIsToldBeforeAnythingIsFetched(t *testing.T) {
	im, content := disk(5 * step)
	s, dir := open(t, func(c *fetch.Config) { c.Free = func(string) (int64, error) { return 64<<20 + 5*step - 1, nil } })
	h := &holder{content: content}
	_, err := s.Fetch(t.Context(), im, always(h.source("a")), nil)
	if !errors.Is(err, fetch.ErrOutOfSpace) || h.asked.Load() > 0 {
		t.Errorf("got %v after %d ranges", err, h.asked.Load())
	}
	empty(t, dir)
}

func TestNobodyToAskIsToldAndWhatCameIsKeptForADay(t *testing.T) {
	im, content := disk(5 * step)
	s, dir := open(t, nil)
	if _, err := s.Fetch(t.Context(), im, always(), nil); !errors.Is(err, fetch.ErrNoSource) {
		t.Errorf("got %v", err)
	}
	gone := errors.New("gone")
	h := &holder{content: content, before: func(n int64) error {
		if n > 2 {
			return gone
		}
		return nil
	}}
	if _, err := s.Fetch(t.Context(), im, always(h.source("a")), nil); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if err := s.Tidy(time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("kept %v, want the one image", left)
	}
	if err := s.Tidy(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	empty(t, dir)
}
