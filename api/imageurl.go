package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type importURLIn struct {
	Host string `query:"host" doc:"id or name of the host that downloads it; the node chooses when left out"`
	Body fleet.ImportURL
}

func (s *server) addImageURL() {
	add(s, route{
		method: http.MethodPost, path: "/v1/images/import", id: "import-image-url", tag: "images", status: http.StatusAccepted,
		summary: "Let a host download an image of one disk",
		description: "The operation tells how far it is. Hosts connect to public addresses only, and to those that their image_urls allow. " +
			"A download that breaks off goes on where it was, also after a restart of the agent.",
	}, s.importURL)
}

func (s *server) importURL(ctx context.Context, in *importURLIn) (*out[fleet.Operation], error) {
	var host fleet.HostID
	if in.Host != "" {
		var err error
		if host, err = s.findHost(ctx, in.Host); err != nil {
			return nil, err
		}
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	op, err := s.core.ImportURL(ctx, host, in.Body)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Operation]{op}, nil
}
