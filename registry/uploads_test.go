package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"grapevine/fleet"
)

// BeginUpload implements api.Core.
func (a *fakeAgent) BeginUpload(_ context.Context, _ fleet.HostID, im fleet.Image) (fleet.Upload, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.parts == nil {
		a.parts = map[string][]byte{}
	}
	a.parts[im.ID] = append([]byte{}, a.parts[im.ID]...)
	return a.part(im.ID), nil
}

func (a *fakeAgent) part(id string) fleet.Upload {
	return fleet.Upload{Image: id, Host: a.row.ID, HaveBytes: int64(len(a.parts[id])), TotalBytes: 4}
}

// Upload implements api.Core.
func (a *fakeAgent) Upload(_ context.Context, _ fleet.HostID, id string) (fleet.Upload, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.parts[id] == nil {
		return fleet.Upload{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: "no upload of it has begun"}
	}
	return a.part(id), nil
}

// AppendUpload implements api.Core.
func (a *fakeAgent) AppendUpload(_ context.Context, _ fleet.HostID, id string, offset int64, content io.Reader) (fleet.Upload, error) {
	came, err := io.ReadAll(content)
	a.mu.Lock()
	defer a.mu.Unlock()
	if have := int64(len(a.parts[id])); have != offset {
		return fleet.Upload{}, &fleet.Error{Code: fleet.CodeConflict, Detail: "it is at another offset"}
	}
	a.parts[id] = append(a.parts[id], came...)
	return a.part(id), err
}

// vmlz is an image whose content is four bytes.
func vmlz() fleet.Image {
	im := fleet.Image{Name: "k", Bytes: 4, Files: []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: strings.Repeat("b", 64), Bytes: 4}}}
	im.ID = fleet.ImageID(im.Files, "")
	return im
}

func TestUploadGoesOnAtTheHostThatHasAPart(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	for i, free := range []int64{700, 900, 800} {
		row := w.agents[i].row
		row.Capacity.DiskGiB = fleet.NewAmount(1000, 0, 1000-free)
		n.publish(row)
	}
	im := vmlz()
	state, err := c.BeginUpload(t.Context(), fleet.HostID{}, im)
	if err != nil || state.Host != w.agents[1].row.ID {
		t.Errorf("began at %s, %v, want the roomiest", state.Host, err)
	}
	w.agents[0].set(func(a *fakeAgent) { a.parts = map[string][]byte{im.ID: []byte("vm")} })
	state, err = c.BeginUpload(t.Context(), fleet.HostID{}, im)
	if err != nil || state.Host != w.agents[0].row.ID || state.HaveBytes != 2 {
		t.Errorf("goes on with %+v, %v, want the host that has a part", state, err)
	}
	state, err = c.AppendUpload(t.Context(), state.Host, im.ID, 2, strings.NewReader("lz"))
	if err != nil || state.HaveBytes != 4 || string(w.agents[0].parts[im.ID]) != "vmlz" {
		t.Errorf("got %+v, %v", state, err)
	}
}

func TestPartThatBreaksOffOnItsWayToTheRegistryStaysAtTheHost(t *testing.T) {
	w := newWorld(t, 1)
	c, _ := w.registry()
	im, agent := vmlz(), w.agents[0]
	if _, err := c.BeginUpload(t.Context(), agent.row.ID, im); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("cut")
	if _, err := c.AppendUpload(t.Context(), agent.row.ID, im.ID, 0, io.MultiReader(strings.NewReader("vm"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("got %v, want the content's own error", err)
	}
	for have := 0; have < 2; { // the host learns of it by itself
		state, err := c.Upload(t.Context(), agent.row.ID, im.ID)
		if err != nil {
			t.Fatal(err)
		}
		have = int(state.HaveBytes)
	}
	_, err := c.AppendUpload(t.Context(), agent.row.ID, im.ID, 0, bytes.NewReader([]byte("vmlz")))
	wantCode(t, err, fleet.CodeConflict)
	_, err = c.AppendUpload(t.Context(), fleet.HostID{}, im.ID, 0, bytes.NewReader(nil))
	wantCode(t, err, fleet.CodeInvalid)
}
