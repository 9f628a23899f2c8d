package api

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// partHeader is that of a part of an upload.
func partHeader(complete, offset string) map[string]string {
	return map[string]string{"Content-Type": partialType, "Upload-Complete": complete, "Upload-Offset": offset}
}

func part(content, complete, offset string) request {
	return request{method: "PATCH", target: "/v1/images/" + hashText + "/upload?host=" + hostText, body: content, header: partHeader(complete, offset)}
}

// An upload speaks as draft-ietf-httpbis-resumable-upload says.
func TestUploadTellsItsOffset(t *testing.T) {
	core := full()
	handler := NewHandler(core, testOptions(core))
	head := request{method: "HEAD", target: "/v1/images/" + hashText + "/upload?host=" + hostText}
	for _, step := range []struct {
		name     string
		do       request
		offset   string
		complete string
	}{
		{"before", head, "0", "?0"},
		{"a part", part("0123", "?0", "0"), "4", "?0"},
		{"asked", head, "4", "?0"},
		{"the rest", part("456789", "?1", "4"), "10", "?1"},
	} {
		r := doWith(t, handler, step.do)
		got := map[string]string{}
		for _, name := range []string{"Upload-Offset", "Upload-Complete", "Upload-Length", "Upload-Limit", "Cache-Control"} {
			got[name] = r.Header().Get(name)
		}
		want := map[string]string{
			"Upload-Offset": step.offset, "Upload-Complete": step.complete, "Upload-Length": "10", "Upload-Limit": "max-age=86400", "Cache-Control": "no-store",
		}
		if diff := cmp.Diff(want, got); diff != "" || r.Code != http.StatusOK {
			t.Errorf("%s: status %d (-want +got)\n%s", step.name, r.Code, diff)
		}
	}
}

func TestBadPartsAreRefused(t *testing.T) {
	wrongType := part("x", "?1", "0")
	wrongType.header = map[string]string{"Content-Type": "text/csv", "Upload-Complete": "?1", "Upload-Offset": "0"}
	unplaced := part("x", "?1", "0")
	unplaced.header = map[string]string{"Content-Type": partialType}
	otherID := request{method: "POST", target: "/v1/images/" + strings.Repeat("b", 64) + "/upload", body: manifestBody}
	for _, tt := range []struct {
		name   string
		do     request
		status int
		code   fleet.Code
		detail string
	}{
		{"another offset", part("456789", "?1", "4"), 409, fleet.CodeConflict, "another offset"},
		{"too little", part("0123", "?1", "0"), 422, fleet.CodeInvalid, "4 of 10 bytes are there"},
		{"another type", wrongType, 400, fleet.CodeBadRequest, "is not application/partial-upload"},
		{"no offset", unplaced, 422, fleet.CodeInvalid, "Upload-Offset"},
		{"negative offset", part("x", "?1", "-1"), 422, fleet.CodeInvalid, "Upload-Offset"},
		{"no boolean", part("x", "yes", "0"), 422, fleet.CodeInvalid, "Upload-Complete"},
		{"another image", otherID, 422, fleet.CodeInvalid, "must be the same"},
		{"malformed id", request{method: "GET", target: "/v1/images/x/upload"}, 400, fleet.CodeBadRequest, "64 lower-case"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := do(t, full(), tt.do)
			if p := problemIn(t, r); r.Code != tt.status || p.Code != tt.code || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %d %s %q, want %d %s with %q", r.Code, p.Code, p.Detail, tt.status, tt.code, tt.detail)
			}
		})
	}
}

func TestWhatCameOfAPartThatIsCutOffStays(t *testing.T) {
	core := full()
	c := dial(t, core, AsOperator)
	broken := errors.New("the disk is broken")
	_, err := c.AppendUpload(t.Context(), hostID, hashText, 0, io.MultiReader(strings.NewReader("0123"), iotest.ErrReader(broken)), 10)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the content's own error", err)
	}
	eventually(t, func() bool { return core.part.Load() == 4 })
	state, err := c.AppendUpload(t.Context(), hostID, hashText, 4, strings.NewReader("456789"), 6)
	if err != nil || state.Stored == nil {
		t.Errorf("the rest: %+v, %v", state, err)
	}
}

// eventually waits until holds does.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("gave up waiting")
		}
	}
}
