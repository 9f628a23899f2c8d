package api

import (
	"context"
	"net/http"
	"time"

	"grapevine/fleet"
)

// KeyedMutation is what a mutation of an instance takes that can be sent again.
// It is exported because huma reads no other struct that is embedded.
type KeyedMutation struct {
	InstanceMutation
	Key string `header:"Idempotency-Key" doc:"the same key and request are one operation of this instance, for as long as its host keeps that (a day after its end); another request is 422 idempotency_key_reused"`
}

func (in *KeyedMutation) parse() (id fleet.InstanceID, wait time.Duration, err error) {
	if id, wait, err = in.InstanceMutation.parse(); err == nil && in.Key != "" {
		err = fleet.CheckName("Idempotency-Key", in.Key)
	}
	return id, wait, err
}

type rebuildIn struct {
	KeyedMutation
	Body fleet.Rebuild
}

func (s *server) addRebuild() {
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/rebuild", id: "rebuild-instance", tag: "instances", status: http.StatusAccepted, summary: "Make the first disk of an instance anew",
		description: "What was on it is lost; id, name, host, size, network cards and further disks stay. An instance that runs is stopped, and started again. " +
			"An instance with snapshots refuses: delete them first. Cloud-init begins from the start, with what is given here or, where nothing of it is, with what it was given before. " + about,
	}, s.rebuildInstance)
}

func (s *server) rebuildInstance(ctx context.Context, in *rebuildIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if err := in.Body.Guest.Validate(); err != nil {
			return fleet.Accepted{}, err
		}
		return s.core.RebuildInstance(ctx, id, in.Body, in.Key)
	})
}
