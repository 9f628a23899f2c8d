package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

type imageFileIn struct {
	ID      string `path:"id" doc:"the image's id"`
	Role    string `path:"role" doc:"disk, kernel or initrd"`
	Range   string `header:"Range" doc:"one range of bytes, as bytes=0-1023; of several, all of the file is sent"`
	IfRange string `header:"If-Range" doc:"the range is sent only where this is the file's ETag"`
}

// imageChunk is read of an image and written at once.
const imageChunk = 256 << 10

func (s *server) addImageFiles() {
	const path = "/v1/images/{id}/files/{role}"
	add(s, route{
		method: http.MethodGet, path: path, id: "read-image-file", tag: "nodes", media: "application/octet-stream",
		summary: "Read a file of an image that this host holds", description: "In ranges (RFC 9110). Its ETag is the file's SHA-256.",
	}, s.readImageFile)
}

// imageFile finds the file that a request means.
func (s *server) imageFile(ctx context.Context, in *imageFileIn) (fleet.ImageFile, error) {
	if !fleet.IsImageID(in.ID) {
		return fleet.ImageFile{}, badRequest("image id %.80q is not 64 lower-case hexadecimal digits", in.ID)
	}
	return s.opts.Node.ImageFile(ctx, in.ID, fleet.ImageRole(in.Role))
}

func (s *server) readImageFile(ctx context.Context, in *imageFileIn) (*stream, error) {
	f, err := s.imageFile(ctx, in)
	if err != nil {
		return nil, err
	}
	part := byteRange{0, f.Bytes}
	partial := false
	if in.IfRange == "" || in.IfRange == etag(f) {
		if part, partial, err = parseRange(in.Range, f.Bytes); err != nil {
			return &stream{func(hc huma.Context) { unsatisfiable(hc, f, err) }}, nil
		}
	}
	content, err := s.opts.Node.ReadImage(ctx, in.ID, f.Role, part.offset, part.length)
	if err != nil {
		return nil, err
	}
	return &stream{func(hc huma.Context) {
		setFileHeaders(hc, f)
		hc.SetHeader("Content-Length", strconv.FormatInt(part.length, 10))
		if partial {
			hc.SetHeader("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+part.length-1, f.Bytes))
			hc.SetStatus(http.StatusPartialContent)
		} else {
			hc.SetStatus(http.StatusOK)
		}
		s.copyImage(hc, in.ID, content, part.length)
	}}, nil
}

func etag(f fleet.ImageFile) string { return `"` + f.SHA256 + `"` }

func setFileHeaders(hc huma.Context, f fleet.ImageFile) {
	hc.SetHeader("Content-Type", "application/octet-stream")
	hc.SetHeader("X-Content-Type-Options", "nosniff")
	hc.SetHeader("Accept-Ranges", "bytes")
	hc.SetHeader("ETag", etag(f))
}

// unsatisfiable answers a range that lies outside of the file.
func unsatisfiable(hc huma.Context, f fleet.ImageFile, err error) {
	hc.SetHeader("Content-Range", fmt.Sprintf("bytes */%d", f.Bytes))
	p := problemOf(badRequest("%v", err))
	p.Status = http.StatusRequestedRangeNotSatisfiable
	hc.SetHeader("Content-Type", problemType)
	hc.SetStatus(p.Status)
	_ = json.NewEncoder(hc.BodyWriter()).Encode(p) // who is gone needs no answer
}

// copyImage sends the content. One that breaks off must not look whole.
func (s *server) copyImage(hc huma.Context, id string, content io.ReadCloser, length int64) {
	defer func() { _ = content.Close() }() // it was only read
	chunk := make([]byte, min(imageChunk, length))
	for sent := int64(0); sent < length; {
		n, err := content.Read(chunk[:min(int64(len(chunk)), length-sent)])
		if n > 0 {
			if _, err := hc.BodyWriter().Write(chunk[:n]); err != nil {
				return // the client has gone
			}
			sent += int64(n)
		}
		if err != nil && sent < length {
			s.log.WarnContext(hc.Context(), "image cut short", "image", id, "sent_bytes", sent, "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// byteRange is a part of a file.
type byteRange struct{ offset, length int64 }

var errRange = errors.New("the range begins behind the end of the file; ask for less")

// parseRange reads a Range header of RFC 9110, section 14.2, for a file of this
// size. What is no single range of bytes is ignored, as the RFC allows: the part
// is then the whole file.
func parseRange(header string, size int64) (part byteRange, partial bool, err error) {
	whole := byteRange{0, size}
	first, last, ok := splitRange(header)
	switch {
	case !ok:
		return whole, false, nil
	case first < 0 && last == 0, first >= size:
		return whole, false, errRange
	case first < 0: // the last so many bytes
		last = min(last, size)
		return byteRange{size - last, last}, true, nil
	default:
		return byteRange{first, min(last, size-1) - first + 1}, true, nil
	}
}
