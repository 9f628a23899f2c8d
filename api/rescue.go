package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type rescueIn struct {
	KeyedMutation
	Body fleet.Rescue
}

func (s *server) addRescue() {
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/rescue", id: "rescue-instance", tag: "instances", status: http.StatusAccepted, summary: "Boot an instance from another image, to mend its disk",
		description: "Its own disks stay attached. It is stopped, and started from the image; its row says so in rescue. Until it is unrescued it is not resized, rebuilt, snapshot or given devices. " + about,
	}, s.rescueInstance)
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/unrescue", id: "unrescue-instance", tag: "instances", status: http.StatusAccepted, summary: "Make a rescued instance what it was",
		description: "What the rescue made is removed; the instance runs where it ran before. " + about,
	}, s.unrescueInstance)
}

func (s *server) rescueInstance(ctx context.Context, in *rescueIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if in.Body.Image == "" {
			return fleet.Accepted{}, invalid("image is empty; list them with: grapevine image list")
		}
		return s.core.RescueInstance(ctx, id, in.Body, in.Key)
	})
}

func (s *server) unrescueInstance(ctx context.Context, in *KeyedMutation) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) { return s.core.UnrescueInstance(ctx, id, in.Key) })
}
