package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type snapshotsIn struct {
	ID string `path:"id" doc:"the instance's id"`
}

type takeSnapshotIn struct {
	InstanceMutation
	Body fleet.CreateSnapshot
}

type snapshotIn struct {
	InstanceMutation
	Name string `path:"name" doc:"the snapshot's name"`
}

func (s *server) addSnapshots() {
	add(s, route{
		method: http.MethodGet, path: "/v1/instances/{id}/snapshots", id: "list-snapshots", tag: "snapshots", summary: "List the snapshots of an instance",
		description: "Its host is asked. Snapshots that others took are among them; oldest first.",
	}, s.listSnapshots)
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/snapshots", id: "take-snapshot", tag: "snapshots", status: http.StatusAccepted, summary: "Take a snapshot of an instance",
		description: "It holds the disks and, of an instance that runs or is paused, the memory; the instance goes on. " + about,
	}, s.takeSnapshot)
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/snapshots/{name}/revert", id: "revert-snapshot", tag: "snapshots", status: http.StatusAccepted, summary: "Bring an instance back to a snapshot",
		description: "Its disks, size and power are as they were; what came since is lost. Its name, labels and project stay. " + about,
	}, s.revertSnapshot)
	add(s, route{
		method: http.MethodDelete, path: "/v1/instances/{id}/snapshots/{name}", id: "delete-snapshot", tag: "snapshots", status: http.StatusAccepted, summary: "Delete a snapshot of an instance",
		description: "The instance, and snapshots taken upon this one, stay as they are. " + about,
	}, s.deleteSnapshot)
}

func (s *server) listSnapshots(ctx context.Context, in *snapshotsIn) (*out[fleet.SnapshotList], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	list, err := s.reads(ctx).Snapshots(ctx, id)
	if err != nil {
		return nil, err
	}
	if list.Items == nil {
		list.Items = []fleet.Snapshot{}
	}
	return &out[fleet.SnapshotList]{list}, nil
}

func (s *server) takeSnapshot(ctx context.Context, in *takeSnapshotIn) (*acceptedOut, error) {
	return s.changeSnapshot(ctx, &in.InstanceMutation, fleet.SnapshotChange{Verb: fleet.TakeSnapshot, Name: in.Body.Name})
}

func (s *server) revertSnapshot(ctx context.Context, in *snapshotIn) (*acceptedOut, error) {
	return s.changeSnapshot(ctx, &in.InstanceMutation, fleet.SnapshotChange{Verb: fleet.RevertSnapshot, Name: in.Name})
}

func (s *server) deleteSnapshot(ctx context.Context, in *snapshotIn) (*acceptedOut, error) {
	return s.changeSnapshot(ctx, &in.InstanceMutation, fleet.SnapshotChange{Verb: fleet.DeleteSnapshot, Name: in.Name})
}

func (s *server) changeSnapshot(ctx context.Context, in *InstanceMutation, change fleet.SnapshotChange) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if err := change.Validate(); err != nil {
			return fleet.Accepted{}, err
		}
		return s.core.ChangeSnapshot(ctx, id, change)
	})
}
