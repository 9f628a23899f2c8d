package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type instanceQuery struct {
	Host    string   `query:"host" doc:"id or name of the host"`
	Project string   `query:"project"`
	State   string   `query:"state" enum:"running,paused,suspended,stopped,crashed,unknown" doc:"power state"`
	Name    string   `query:"name"`
	Label   []string `query:"label,explode" example:"tier=web" doc:"key=value; may be repeated, all must match"`
	Limit   int      `query:"limit" minimum:"1" maximum:"10000" doc:"rows of a page; 1000 when left out"`
	Marker  string   `query:"marker" doc:"next of the page before; one past the end gives an empty page"`
}

func (s *server) addInstances() {
	add(s, route{method: http.MethodGet, path: "/v1/instances", id: "list-instances", tag: "instances", summary: "List instances, page by page"}, s.listInstances)
	add(s, route{method: http.MethodGet, path: "/v1/instances/{id}", id: "get-instance", tag: "instances", summary: "Show one instance"}, s.getInstance)
	s.addMutations()
	s.addLog()
	s.addSnapshots()
	s.addCapture()
	s.addExport()
	s.addDevices()
	s.addRebuild()
	s.addMigrate()
	s.addRescue()
	s.addAutostart()
	s.addUsage()
}

func (s *server) listInstances(ctx context.Context, in *instanceQuery) (*out[fleet.List[fleet.Instance]], error) {
	labels, err := parseLabels(in.Label)
	if err != nil {
		return nil, err
	}
	if err := within(ctx, &in.Project); err != nil {
		return nil, err
	}
	page, err := s.reads(ctx).Instances(ctx, fleet.InstanceQuery{
		Host: in.Host, Project: in.Project, State: fleet.Power(in.State), Name: in.Name,
		Labels: labels, Limit: in.Limit, Marker: in.Marker,
	})
	if err != nil {
		return nil, err
	}
	return &out[fleet.List[fleet.Instance]]{presentList(page, presentInstance)}, nil
}

func (s *server) getInstance(ctx context.Context, in *freshIn) (*out[fleet.Instance], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	from := s.reads(ctx)
	instance, err := read(ctx, in.Fresh, id, from.Instance, from.FreshInstance, from.OwnInstance)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Instance]{presentInstance(instance)}, nil
}
