package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

// uploadPath is an upload as a resource. What is done to it follows
// draft-ietf-httpbis-resumable-upload-09, whose names its headers have: HEAD
// tells the offset, and PATCH with the content type application/partial-upload
// goes on from there. It is made by a POST of the manifest, as its content is
// known by its digest.
const (
	uploadPath  = "/v1/images/{id}/upload"
	partialType = "application/partial-upload"
)

type uploadIn struct {
	ID   string `path:"id" doc:"the image's id"`
	Host string `query:"host" doc:"id or name of the host that takes it"`
}

type beginUploadIn struct {
	ID   string `path:"id" doc:"the image's id"`
	Host string `query:"host" doc:"id or name of the host to store it at; the node chooses when left out"`
	Body fleet.Image
}

// appendUploadIn is a part whose content is read as it comes.
type appendUploadIn struct {
	ID       string `path:"id" doc:"the image's id"`
	Host     string `query:"host" doc:"id or name of the host that takes it"`
	Offset   int64  `header:"Upload-Offset" minimum:"0" required:"true" doc:"where the content begins: how much the host has"`
	Complete string `header:"Upload-Complete" enum:"?0,?1" doc:"?1 when this is all that is missing; ?0 when more follows in another request"`

	contentType string
	content     *pacedReader
}

// Resolve implements huma.Resolver: it takes the body without reading it.
func (in *appendUploadIn) Resolve(hc huma.Context) []error {
	in.contentType, in.content = hc.Header("Content-Type"), &pacedReader{from: hc.BodyReader(), deadline: hc.SetReadDeadline}
	return nil
}

func (in *appendUploadIn) streamed() {}

// uploadOut tells the state of an upload in the draft's headers, and as JSON.
type uploadOut struct {
	Status   int
	Offset   int64  `header:"Upload-Offset"`
	Complete string `header:"Upload-Complete"`
	Length   int64  `header:"Upload-Length"`
	Limit    string `header:"Upload-Limit"`
	Cache    string `header:"Cache-Control"`
	Body     fleet.Upload
}

func (s *server) addUploads() {
	add(s, route{
		method: http.MethodPost, path: uploadPath, id: "begin-upload", tag: "images",
		summary: "Begin the upload of an image to a host, or ask how far it is",
		description: "The body is the image's manifest. The answer says how many bytes the host has, from an upload that broke off; the rest is sent with PATCH. " +
			"What nobody goes on with is removed after a day.",
	}, s.beginUpload)
	add(s, route{method: http.MethodGet, path: uploadPath, id: "get-upload", tag: "images", summary: "How far an upload is"}, s.getUpload)
	add(s, route{method: http.MethodHead, path: uploadPath, id: "head-upload", tag: "images", summary: "How far an upload is, in headers"}, s.getUpload)
	add(s, route{
		method: http.MethodPatch, path: uploadPath, id: "append-upload", tag: "images",
		summary: "Go on with an upload",
		description: "The body, of type " + partialType + ", goes behind the Upload-Offset that is there (draft-ietf-httpbis-resumable-upload): " +
			"the image's files one after the other, in the manifest's order. What came stays when the connection breaks. " +
			"When all is there, the host checks its digests and stores the image before it answers.",
	}, s.appendUpload)
	s.api.OpenAPI().Paths[uploadPath].Patch.RequestBody = &huma.RequestBody{
		Required: true,
		Content:  map[string]*huma.MediaType{partialType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
}

func (s *server) beginUpload(ctx context.Context, in *beginUploadIn) (*uploadOut, error) {
	host, err := s.uploadHost(ctx, in.ID, in.Host)
	if err != nil {
		return nil, err
	}
	if in.Body.ID != in.ID {
		return nil, invalid("the path is of image %.64s and the manifest of %.64q; they must be the same", in.ID, in.Body.ID)
	}
	state, err := s.core.BeginUpload(ctx, host, in.Body)
	return presentUpload(state), err
}

func (s *server) getUpload(ctx context.Context, in *uploadIn) (*uploadOut, error) {
	host, err := s.uploadHost(ctx, in.ID, in.Host)
	if err != nil {
		return nil, err
	}
	state, err := s.core.Upload(ctx, host, in.ID)
	return presentUpload(state), err
}

func (s *server) appendUpload(ctx context.Context, in *appendUploadIn) (*uploadOut, error) {
	host, err := s.uploadHost(ctx, in.ID, in.Host)
	if err != nil {
		return nil, err
	}
	if in.contentType != partialType {
		return nil, badRequest("content type %.80q is not %s", in.contentType, partialType)
	}
	state, err := s.core.AppendUpload(ctx, host, in.ID, in.Offset, in.content)
	switch {
	case in.content.err != nil: // the cause, whatever became of it
		return nil, badRequest("the upload was cut off (%v); ask how much is there, and go on", in.content.err)
	case err != nil:
		return nil, err
	case in.Complete == "?1" && state.Stored == nil:
		return nil, invalid("%d of %d bytes are there, and no more are to come; make the manifest anew", state.HaveBytes, state.TotalBytes)
	}
	return presentUpload(state), nil
}

// uploadHost reads what all requests about an upload have.
func (s *server) uploadHost(ctx context.Context, id, host string) (fleet.HostID, error) {
	if !fleet.IsImageID(id) {
		return fleet.HostID{}, badRequest("image id %.80q is not 64 lower-case hexadecimal digits", id)
	}
	if host == "" {
		return fleet.HostID{}, nil
	}
	return s.findHost(ctx, host)
}

func presentUpload(state fleet.Upload) *uploadOut {
	complete := "?0"
	if state.Stored != nil {
		stored := presentImage(*state.Stored)
		state.Stored, complete = &stored, "?1"
	}
	return &uploadOut{
		Status: http.StatusOK, Offset: state.HaveBytes, Complete: complete, Length: state.TotalBytes, Cache: "no-store",
		Limit: fmt.Sprintf("max-age=%d", int(fleet.UploadKept.Seconds())), Body: state,
	}
}

// pacedReader reads a body that must not pause for longer than
// fleet.UploadStall, and keeps the error with which it ended.
type pacedReader struct {
	from     io.Reader
	deadline func(time.Time) error
	set      time.Time // when the deadline was set last
	err      error
}

// Read implements io.Reader.
func (r *pacedReader) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(r.set) > fleet.UploadStall/10 {
		_ = r.deadline(now.Add(fleet.UploadStall)) // a connection without deadlines has keep-alives
		r.set = now
	}
	n, err := r.from.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		_ = r.deadline(time.Time{})
	case err != nil: // nor is the rest waited for
		r.err = err
	}
	return n, err
}
