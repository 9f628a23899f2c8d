package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

type exportIn struct {
	ID string `path:"id" doc:"the instance's id"`
}

type exportFileIn struct {
	ID      string `path:"id" doc:"the instance's id"`
	Range   string `header:"Range" doc:"one range of bytes, as bytes=0-1023; of several, all of the file is sent"`
	IfRange string `header:"If-Range" doc:"the range is sent only where this is the file's ETag"`
}

func (s *server) addExport() {
	const path = "/v1/instances/{id}/export"
	add(s, route{
		method: http.MethodPost, path: path, id: "export-instance", tag: "instances", status: http.StatusAccepted, summary: "Prepare a stopped instance to be carried away",
		description: "Its host lays out a file with all of its disks, which can be read from when the operation has succeeded, for a day after it was last read. " + about,
	}, s.exportInstance)
	add(s, route{
		method: http.MethodGet, path: path, id: "get-export", tag: "instances", summary: "Show what is prepared of an instance",
		description: "The manifest, and how long the file is. The same id is the same file, to the byte.",
	}, s.getExport)
	add(s, route{
		method: http.MethodGet, path: path + "/file", id: "read-export", tag: "instances", media: "application/x-tar", summary: "Read the file of an export",
		description: "In ranges (RFC 9110). Its ETag is the export's id.",
	}, s.readExport)
	add(s, route{method: http.MethodDelete, path: path, id: "drop-export", tag: "instances", summary: "Remove what is prepared of an instance"}, s.dropExport)
}

func (s *server) exportInstance(ctx context.Context, in *InstanceMutation) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) { return s.core.ExportInstance(ctx, id) })
}

func (s *server) getExport(ctx context.Context, in *exportIn) (*out[fleet.PreparedExport], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	prepared, err := s.reads(ctx).Export(ctx, id)
	if err != nil {
		return nil, err
	}
	return &out[fleet.PreparedExport]{prepared}, nil
}

func (s *server) readExport(ctx context.Context, in *exportFileIn) (*stream, error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	prepared, err := s.reads(ctx).Export(ctx, id)
	if err != nil {
		return nil, err
	}
	f := fleet.ImageFile{SHA256: prepared.ID, Bytes: prepared.Bytes} // what ranges ask about
	part, partial := byteRange{0, f.Bytes}, false
	if in.IfRange == "" || in.IfRange == etag(f) {
		if part, partial, err = parseRange(in.Range, f.Bytes); err != nil {
			return &stream{func(hc huma.Context) { unsatisfiable(hc, f, err) }}, nil
		}
	}
	content, err := s.reads(ctx).ReadExport(ctx, id, fleet.ExportRange{ID: prepared.ID, Offset: part.offset, Length: part.length})
	if err != nil {
		return nil, err
	}
	return &stream{func(hc huma.Context) {
		setFileHeaders(hc, f)
		hc.SetHeader("Content-Type", "application/x-tar")
		hc.SetHeader("Content-Length", strconv.FormatInt(part.length, 10))
		if partial {
			hc.SetHeader("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+part.length-1, f.Bytes))
			hc.SetStatus(http.StatusPartialContent)
		} else {
			hc.SetStatus(http.StatusOK)
		}
		s.copyImage(hc, prepared.ID, content, part.length)
	}}, nil
}

// dropped is the answer to a removal of what was prepared.
type dropped struct {
	Instance fleet.InstanceID `json:"instance"`
}

func (s *server) dropExport(ctx context.Context, in *exportIn) (*out[dropped], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.core.DropExport(ctx, id); err != nil {
		return nil, err
	}
	return &out[dropped]{dropped{id}}, nil
}
