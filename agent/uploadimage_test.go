package agent_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"grapevine/fleet"
)

// begin begins an upload that the host must be so far with.
func (s *site) begin(im fleet.Image, have int64) {
	s.t.Helper()
	state, err := s.BeginUpload(s.t.Context(), fleet.HostID{}, im)
	if err != nil || state.HaveBytes != have || state.Host != s.id {
		s.t.Fatalf("got %+v, %v, want %d bytes at host %s", state, err, have, s.id)
	}
}

// upload sends the image from an offset on.
func (s *site) upload(im fleet.Image, content []byte, offset int64) (fleet.Upload, error) {
	return s.AppendUpload(s.t.Context(), fleet.HostID{}, im.ID, offset, bytes.NewReader(content[offset:]), int64(len(content))-offset)
}

// cutUpload sends the image and breaks off at an offset; then the host has what
// came.
func (s *site) cutUpload(im fleet.Image, content []byte, at int64) {
	s.t.Helper()
	broken := errors.New("cut")
	_, err := s.AppendUpload(s.t.Context(), fleet.HostID{}, im.ID, 0, io.MultiReader(bytes.NewReader(content[:at]), iotest.ErrReader(broken)), int64(len(content)))
	if !errors.Is(err, broken) {
		s.t.Fatalf("got %v", err)
	}
	s.until("the host has what came", func() bool {
		state, err := s.Upload(s.t.Context(), fleet.HostID{}, im.ID)
		return err == nil && !state.Busy && state.HaveBytes == at
	})
}

func TestUploadGoesOnAfterACutAndARestart(t *testing.T) {
	s := newSite(t, nil)
	im, content := ranged()
	s.begin(im, 0)
	s.cutUpload(im, content, 9<<20)
	s.restart()
	s.begin(im, 9<<20)
	state, err := s.upload(im, content, 9<<20)
	if err != nil || state.Stored == nil || state.Stored.Name != im.Name || len(state.Stored.Hosts) != 1 {
		t.Fatalf("got %+v, %v", state, err)
	}
	s.holds(im)
	if state, err := s.BeginUpload(t.Context(), fleet.HostID{}, im); err != nil || state.Stored == nil {
		t.Errorf("an image that is there: %+v, %v", state, err)
	}
}

func TestUploadOfAnotherContentLeavesNothing(t *testing.T) {
	s := newSite(t, nil)
	im, content := ranged()
	s.begin(im, 0)
	s.cutUpload(im, content, 9<<20)
	content[10<<20] ^= 1
	_, err := s.upload(im, content, 9<<20)
	code(t, err, fleet.CodeInvalid)
	s.spoolIsEmpty()
	content[10<<20] ^= 1
	s.begin(im, 0)
	if _, err := s.upload(im, content, 0); err != nil {
		t.Fatal(err)
	}
	s.holds(im)
}

func TestUploadIsSentByOneAtATime(t *testing.T) {
	s := newSite(t, nil)
	im, content := ranged()
	s.begin(im, 0)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.AppendUpload(t.Context(), fleet.HostID{}, im.ID, 0, r, im.Bytes)
		done <- err
	}()
	if _, err := w.Write(content[:1<<20]); err != nil {
		t.Fatal(err)
	}
	s.until("the host is taking it", func() bool {
		state, err := s.BeginUpload(t.Context(), fleet.HostID{}, im)
		return err == nil && state.Busy && state.HaveBytes > 0
	})
	_, err := s.AppendUpload(t.Context(), fleet.HostID{}, im.ID, 0, bytes.NewReader(nil), 0)
	code(t, err, fleet.CodeBusy)
	if _, err := w.Write(content[1<<20:]); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.holds(im)
}

func TestUploadThatTheHostCannotStoreIsRefusedBeforeItIsSent(t *testing.T) {
	s := newSite(t, nil)
	im, _ := ranged()
	_, err := s.BeginUpload(t.Context(), fleet.UUID{7}, im)
	code(t, err, fleet.CodeMisdirected)
	stored := im
	stored.Stored = &im.Files[0]
	_, err = s.BeginUpload(t.Context(), fleet.HostID{}, stored)
	code(t, err, fleet.CodeInvalid)
	_, err = s.Upload(t.Context(), fleet.HostID{}, im.ID)
	code(t, err, fleet.CodeNotFound)
	s.spoolIsEmpty()
}

func TestUploadInPartsIsConvertedForTheHypervisor(t *testing.T) {
	s := newSite(t, nil)
	given := s.pick()
	im, content := ranged()
	s.begin(im, 0)
	s.cutUpload(im, content, 5<<20)
	if _, err := s.upload(im, content, 5<<20); err != nil {
		t.Fatal(err)
	}
	s.isVMDK(im, given)
}
