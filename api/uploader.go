package api

import (
	"context"
	"io"

	"grapevine/fleet"
)

// Uploader takes images that somebody uploads, in as many parts as it takes. An
// upload is known by the image's id, and belongs to one host: at an agent to its
// own.
type Uploader interface {
	// BeginUpload says how much of the image a host has, and makes ready for the
	// rest. The zero host at a registry is one that the registry chooses: one that
	// has a part of it, or the roomiest.
	BeginUpload(ctx context.Context, host fleet.HostID, im fleet.Image) (fleet.Upload, error)
	// Upload says how far an upload is.
	Upload(ctx context.Context, host fleet.HostID, id string) (fleet.Upload, error)
	// AppendUpload goes on with an upload where it was, which is at offset. When
	// content ends with an error, what came before it stays. Once all is there it
	// is stored, before the answer.
	AppendUpload(ctx context.Context, host fleet.HostID, id string, offset int64, content io.Reader) (fleet.Upload, error)
}
