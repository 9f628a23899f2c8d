package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type deleteImageIn struct {
	ID   string `path:"id" doc:"the image's id"`
	Host string `query:"host" doc:"id or name of the one host to delete it at; every holder when left out"`
}

func (s *server) addImageDelete() {
	add(s, route{
		method: http.MethodDelete, path: "/v1/images/{id}", id: "delete-image", tag: "images", summary: "Delete an image at its holders",
		description: "A host keeps an image while an instance on it is built on the image. The answer says who has removed it, and who keeps it and why; " +
			"with host, a host that keeps it is an error.",
	}, s.deleteImage)
}

func (s *server) deleteImage(ctx context.Context, in *deleteImageIn) (*out[fleet.ImageDeletion], error) {
	if !fleet.IsImageID(in.ID) {
		return nil, badRequest("image id %.80q is not 64 lower-case hexadecimal digits", in.ID)
	}
	var host fleet.HostID
	if in.Host != "" {
		var err error
		if host, err = s.findHost(ctx, in.Host); err != nil {
			return nil, err
		}
	}
	done, err := s.core.DeleteImage(ctx, in.ID, host)
	if err != nil {
		return nil, err
	}
	done.Removed, done.Kept = list(done.Removed), list(done.Kept)
	return &out[fleet.ImageDeletion]{done}, nil
}
