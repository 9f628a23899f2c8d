package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type autostartIn struct {
	InstanceMutation
	Body fleet.Booting
}

func (s *server) addAutostart() {
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/autostart", id: "set-autostart", tag: "instances", status: http.StatusAccepted, summary: "Say how an instance is brought up after a reboot of its host",
		description: "autostart is always, never, or empty: as it was when the host went down; start_order is its place, those without one last. An instance that an operator stopped stays stopped. " + about,
	}, s.setAutostart)
}

func (s *server) setAutostart(ctx context.Context, in *autostartIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if err := fleet.CheckBooting(in.Body); err != nil {
			return fleet.Accepted{}, err
		}
		return s.core.SetAutostart(ctx, id, in.Body)
	})
}
