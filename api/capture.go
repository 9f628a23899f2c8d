package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type captureIn struct {
	InstanceMutation
	Body fleet.CaptureInstance
}

func (s *server) addCapture() {
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/capture", id: "capture-instance", tag: "instances", status: http.StatusAccepted, summary: "Make an image of a stopped instance",
		description: "Its first disk as it is now, with the kernel that it boots where it boots one; its host holds the image then, and the operation names it. " + about,
	}, s.captureInstance)
}

func (s *server) captureInstance(ctx context.Context, in *captureIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if err := in.Body.Validate(); err != nil {
			return fleet.Accepted{}, err
		}
		return s.core.CaptureInstance(ctx, id, in.Body)
	})
}
