package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

// importIn is an upload whose body is read as it comes.
type importIn struct {
	Host string `query:"host" doc:"id or name of the host to store it at; the node chooses when left out"`

	contentType string
	content     io.Reader
}

// Resolve implements huma.Resolver: it takes the body without reading it.
func (in *importIn) Resolve(ctx huma.Context) []error {
	in.contentType, in.content = ctx.Header("Content-Type"), &pacedReader{from: ctx.BodyReader(), deadline: ctx.SetReadDeadline}
	return nil
}

func (in *importIn) streamed() {}

func (s *server) addImages() {
	add(s, route{method: http.MethodGet, path: "/v1/images", id: "list-images", tag: "images", summary: "List images with their holders"}, s.listImages)
	add(s, route{method: http.MethodGet, path: "/v1/images/{id}", id: "get-image", tag: "images", summary: "Show one image"}, s.getImage)
	add(s, route{
		method: http.MethodPost, path: "/v1/images", id: "import-image", tag: "images", status: http.StatusCreated,
		summary: "Upload an image to a host",
		description: "multipart/form-data: first the part manifest, an Image as JSON, then one part for each of its files, named by the file's role and in the manifest's order. " +
			"The upload is streamed to the host's storage, which checks every size and digest and keeps nothing on an error.",
	}, s.importImage)
	s.describeUpload()
}

// describeUpload documents the body after the registration: huma would read a
// body that it knows of.
func (s *server) describeUpload() {
	doc := s.api.OpenAPI()
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	doc.Paths["/v1/images"].Post.RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{"multipart/form-data": {
			Schema: &huma.Schema{
				Type:     huma.TypeObject,
				Required: []string{"manifest"},
				Properties: map[string]*huma.Schema{
					"manifest": {Ref: "#/components/schemas/Image"},
					"kernel":   binary, "initrd": binary, "disk": binary, "iso": binary,
				},
			},
			Encoding: map[string]*huma.Encoding{"manifest": {ContentType: "application/json"}},
		}},
	}
}

func (s *server) listImages(ctx context.Context, _ *nothing) (*out[fleet.List[fleet.Image]], error) {
	images, err := s.reads(ctx).Images(ctx)
	if err != nil {
		return nil, err
	}
	return &out[fleet.List[fleet.Image]]{presentList(images, presentImage)}, nil
}

func (s *server) getImage(ctx context.Context, in *named) (*out[fleet.Image], error) {
	if !fleet.IsImageID(in.ID) {
		return nil, badRequest("image id %.80q is not 64 lower-case hexadecimal digits", in.ID)
	}
	image, err := s.reads(ctx).Image(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Image]{presentImage(image)}, nil
}

func (s *server) importImage(ctx context.Context, in *importIn) (*out[fleet.Image], error) {
	var host fleet.HostID
	if in.Host != "" {
		var err error
		if host, err = s.findHost(ctx, in.Host); err != nil {
			return nil, err
		}
	}
	upload, err := openUpload(in.contentType, in.content)
	if err != nil {
		return nil, err
	}
	stored, err := s.core.ImportImage(ctx, host, upload.image, upload)
	if upload.fault != nil {
		return nil, upload.fault // what the client sent is the cause, whatever became of it
	}
	if err != nil {
		return nil, err
	}
	// An image that the host has already is not read again; the client sends it
	// all the same, and must not see its connection cut.
	if _, err := io.Copy(io.Discard, in.content); err != nil {
		return nil, badRequest("the upload was cut off; send it again")
	}
	return &out[fleet.Image]{presentImage(stored)}, nil
}
