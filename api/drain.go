package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

// Drainer empties hosts for work on them.
type Drainer interface {
	// StartDrain has a host take no new instances and do as req says with those
	// that it has. The host has it durably when this answers, and goes on by
	// itself.
	StartDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error)
	// Undrain has a host take instances again, and start what its drain stopped.
	Undrain(ctx context.Context, id fleet.HostID) (fleet.Drain, error)
}

type drainIn struct {
	ID   string `path:"id" doc:"the host's id"`
	Body fleet.DrainRequest
}

type planIn struct {
	ID         string `path:"id" doc:"the host's id"`
	Mode       string `query:"mode" enum:"wait,stop" doc:"show what this would do, instead of what goes on"`
	DeadlineMS int64  `query:"deadline_ms" minimum:"1"`
	Force      bool   `query:"force"`
}

// drainOut is the drain with the version under which it is visible.
type drainOut struct {
	Version string `header:"Grapevine-Version"`
	Body    fleet.Drain
}

const aboutDrain = "Each machine of the host is listed, foreign ones too: what is done to it, what came of it, and whether it remains. "

func (s *server) addDrain() {
	add(s, route{
		method: http.MethodGet, path: "/v1/hosts/{id}/drain", id: "get-drain", tag: "hosts", summary: "Show how a host is emptied, or would be",
		description: aboutDrain + "The host is asked. With mode the answer is a plan, and nothing is done.",
	}, s.getDrain)
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/drain", id: "drain-host", tag: "hosts", status: http.StatusAccepted, summary: "Empty a host",
		description: aboutDrain + "202 says that the host has it durably and takes no new instances; it goes on by itself, also after a restart of its agent. Asked again, what was left or failed is tried anew.",
	}, s.drainHost)
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/undrain", id: "undrain-host", tag: "hosts", status: http.StatusAccepted, summary: "Bring a drained host back",
		description: aboutDrain + "The host takes instances again, and starts in order what its drain has stopped, and nothing else.",
	}, s.undrainHost)
}

func (s *server) getDrain(ctx context.Context, in *planIn) (*drainOut, error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	req := fleet.DrainRequest{Mode: fleet.DrainMode(in.Mode), DeadlineMS: in.DeadlineMS, Force: in.Force}
	if req != (fleet.DrainRequest{}) {
		if err := req.Validate(); err != nil {
			return nil, err
		}
	}
	return drainAnswer(s.reads(ctx).PlanDrain(ctx, id, req))
}

func (s *server) drainHost(ctx context.Context, in *drainIn) (*drainOut, error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	return drainAnswer(s.core.StartDrain(ctx, id, in.Body))
}

func (s *server) undrainHost(ctx context.Context, in *named) (*drainOut, error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	return drainAnswer(s.core.Undrain(ctx, id))
}

func drainAnswer(d fleet.Drain, err error) (*drainOut, error) {
	if err != nil {
		return nil, err
	}
	d.Machines = list(d.Machines)
	return &drainOut{Version: d.Version.String(), Body: d}, nil
}
