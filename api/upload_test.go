package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// formPart is one part of an upload.
type formPart struct{ name, content string }

func kernelAndInitrd() fleet.Image {
	const kernel, initrd = "the kernel", "the initrd"
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	im := fleet.Image{Name: "tiny", Cmdline: "console=ttyS0", Bytes: int64(len(kernel) + len(initrd)), Files: []fleet.ImageFile{
		{Role: fleet.RoleKernel, SHA256: digest(kernel), Bytes: int64(len(kernel))},
		{Role: fleet.RoleInitrd, SHA256: digest(initrd), Bytes: int64(len(initrd))},
	}}
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	return im
}

func manifest(t *testing.T, im fleet.Image) string {
	t.Helper()
	content, err := json.Marshal(im)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func post(t *testing.T, core *fakeCore, target string, parts ...formPart) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		w, err := form.CreateFormFile(p.name, p.name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, p.content)
	}
	_ = form.Close()
	return do(t, core, request{method: "POST", target: target, body: body.String(), header: map[string]string{"Content-Type": form.FormDataContentType()}})
}

func TestUploadHandsTheFilesOverInOrder(t *testing.T) {
	im := kernelAndInitrd()
	var gotHost fleet.HostID
	var gotImage fleet.Image
	var gotContent []byte
	core := full()
	core.importing = func(h fleet.HostID, im fleet.Image, r io.Reader) (stored fleet.Image, err error) {
		gotHost, gotImage = h, im
		gotContent, err = io.ReadAll(r)
		return im, err
	}
	for _, host := range []string{hostText, "alpha"} {
		r := post(t, core, "/v1/images?host="+host, formPart{"manifest", manifest(t, im)}, formPart{"kernel", "the kernel"}, formPart{"initrd", "the initrd"})
		if r.Code != http.StatusCreated || gotHost != hostID || string(gotContent) != "the kernelthe initrd" {
			t.Errorf("host %s: got %d %s, host %s, content %q", host, r.Code, r.Body, gotHost, gotContent)
		}
		if diff := cmp.Diff(im, gotImage); diff != "" {
			t.Error(diff)
		}
	}
}

func TestUploadOfWhatIsThereAlreadyIsNotRead(t *testing.T) {
	im := kernelAndInitrd()
	core := full()
	core.importing = func(_ fleet.HostID, im fleet.Image, _ io.Reader) (fleet.Image, error) { return im, nil }
	r := post(t, core, "/v1/images", formPart{"manifest", manifest(t, im)}, formPart{"kernel", "the kernel"}, formPart{"initrd", "the initrd"})
	if r.Code != http.StatusCreated {
		t.Errorf("got %d %s", r.Code, r.Body)
	}
}

func TestBadUploadsSayWhere(t *testing.T) {
	im := kernelAndInitrd()
	good := formPart{"manifest", manifest(t, im)}
	kernel, initrd := formPart{"kernel", "the kernel"}, formPart{"initrd", "the initrd"}
	wrongID := im
	wrongID.ID = hashText
	for name, tt := range map[string]struct {
		parts  []formPart
		query  string
		code   fleet.Code
		detail string
	}{
		"no manifest":          {[]formPart{kernel, initrd}, "", fleet.CodeBadRequest, "first part is not manifest"},
		"malformed manifest":   {[]formPart{{"manifest", `{"name":`}}, "", fleet.CodeBadRequest, "manifest is not an image as JSON"},
		"unknown field":        {[]formPart{{"manifest", `{"colour":"red"}`}}, "", fleet.CodeBadRequest, `unknown field "colour"`},
		"two manifests in one": {[]formPart{{"manifest", good.content + good.content}}, "", fleet.CodeBadRequest, "something follows"},
		"10 MiB manifest":      {[]formPart{{"manifest", strings.Repeat(" ", 10<<20)}}, "", fleet.CodeTooLarge, "manifest is longer than"},
		"wrong id":             {[]formPart{{"manifest", manifest(t, wrongID)}}, "", fleet.CodeInvalid, "is not the digest of its content"},
		"file missing":         {[]formPart{good, kernel}, "", fleet.CodeBadRequest, "no part initrd"},
		"wrong order":          {[]formPart{good, initrd, kernel}, "", fleet.CodeBadRequest, `part "initrd" stands where kernel belongs`},
		"file too short":       {[]formPart{good, {"kernel", "the"}, initrd}, "", fleet.CodeInvalid, "kernel is 3 bytes long and the manifest says 10"},
		"file too long":        {[]formPart{good, {"kernel", "the kernel and more"}, initrd}, "", fleet.CodeInvalid, "kernel is longer than the 10 bytes"},
		"unknown host":         {[]formPart{good, kernel, initrd}, "?host=nowhere", fleet.CodeNotFound, `"nowhere"`},
		"unknown filter":       {[]formPart{good, kernel, initrd}, "?zone=a", fleet.CodeUnknownFilter, "zone"},
	} {
		t.Run(name, func(t *testing.T) {
			p := problemIn(t, post(t, full(), "/v1/images"+tt.query, tt.parts...))
			if p.Code != tt.code || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %s %q, want %s with %q", p.Code, p.Detail, tt.code, tt.detail)
			}
		})
	}
	r := do(t, full(), request{method: "POST", target: "/v1/images", body: "hello", header: map[string]string{"Content-Type": "text/plain"}})
	if p := problemIn(t, r); p.Code != fleet.CodeBadRequest || !strings.Contains(p.Detail, "multipart/form-data") {
		t.Errorf("not a form: %+v", p)
	}
}

func TestStoreThatFailsIsToldAndNotTheUpload(t *testing.T) {
	im := kernelAndInitrd()
	core := full()
	core.importing = func(fleet.HostID, fleet.Image, io.Reader) (fleet.Image, error) {
		return fleet.Image{}, &fleet.Error{Code: fleet.CodeOutOfSpace, Detail: "the pool is full"}
	}
	p := problemIn(t, post(t, core, "/v1/images", formPart{"manifest", manifest(t, im)}, formPart{"kernel", "the kernel"}, formPart{"initrd", "the initrd"}))
	if p.Code != fleet.CodeOutOfSpace || p.Status != http.StatusInsufficientStorage {
		t.Errorf("%+v", p)
	}
}

// TestUploadIsStreamed sends the second half of a file only after the core has
// read the first, and looks that memory does not grow with the file.
func TestUploadIsStreamed(t *testing.T) {
	const size = 64 << 20
	half := make(chan struct{})
	core := full()
	core.importing = func(_ fleet.HostID, im fleet.Image, r io.Reader) (fleet.Image, error) {
		if _, err := io.CopyN(io.Discard, r, size/2-1<<20); err != nil {
			return im, err
		}
		close(half)
		n, err := io.Copy(io.Discard, r)
		if n != size/2+1<<20 {
			return im, errors.New("length is wrong")
		}
		return im, err
	}
	im := fleet.Image{Name: "disk", Files: []fleet.ImageFile{{Role: fleet.RoleDisk, Format: "raw", SHA256: hashText, Bytes: size}}}
	im.ID = fleet.ImageID(im.Files, "")
	read, write := io.Pipe()
	form := multipart.NewWriter(write)
	go func() {
		w, _ := form.CreateFormField("manifest")
		_, _ = io.WriteString(w, manifest(t, im))
		w, _ = form.CreateFormFile("disk", "disk")
		block := make([]byte, 1<<20)
		for i := range size >> 20 {
			if i == size>>21 {
				<-half
			}
			_, _ = w.Write(block)
		}
		_ = form.Close()
		_ = write.Close()
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/images", read)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set(roleHeader, string(AsOperator))
	recorder := httptest.NewRecorder()
	NewHandler(core, testOptions(core)).ServeHTTP(recorder, req)
	runtime.ReadMemStats(&after)
	if recorder.Code != http.StatusCreated {
		t.Errorf("got %d %s", recorder.Code, recorder.Body)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > size/4 {
		t.Errorf("%d bytes were allocated for an upload of %d", grown, size)
	}
}
