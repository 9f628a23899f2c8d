package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type createIn struct {
	Wait string `query:"wait" example:"30s" doc:"hold the reply until the instance has no task, at most so long: 200 says that it is done, 202 that it goes on"`
	Key  string `header:"Idempotency-Key" doc:"the same key and body give the same instance, at any registry; another body is 422 idempotency_key_reused"`
	// Consistency is as in the document.
	Consistency string `query:"consistency" enum:"fast" doc:"fast: do not ask the fleet who has the Idempotency-Key; sent twice at once it may make two machines"`
	Body        fleet.CreateMany

	sent []byte // the body before it was read as JSON
}

// Resolve implements huma.Resolver.
func (in *createIn) Resolve(ctx huma.Context) []error {
	in.sent = bodyOf(humagin.Unwrap(ctx))
	return nil
}

// InstanceMutation is what every mutation of an instance takes. It is exported
// because huma reads no other struct that is embedded.
type InstanceMutation struct {
	ID   string `path:"id" doc:"the instance's id"`
	Wait string `query:"wait" example:"30s" doc:"hold the reply until the instance has no task, at most so long: 200 says that it is done, 202 that it goes on"`
}

func (in *InstanceMutation) parse() (id fleet.InstanceID, wait time.Duration, err error) {
	if wait, err = parseWait(in.Wait); err == nil {
		id, err = parseID("instance", in.ID)
	}
	return id, wait, err
}

// mutation says which instance is to be changed, and for how long to hold the
// reply.
type mutation interface {
	parse() (id fleet.InstanceID, wait time.Duration, err error)
}

// mutate has an instance changed.
func (s *server) mutate(ctx context.Context, in mutation, ask func(fleet.InstanceID) (fleet.Accepted, error)) (*acceptedOut, error) {
	id, wait, err := in.parse()
	if err != nil {
		return nil, err
	}
	accepted, err := ask(id)
	if err != nil {
		return nil, err
	}
	return s.reply(ctx, accepted, wait), nil
}

type actIn struct {
	InstanceMutation
	Action string `path:"action" doc:"start, stop, reboot, pause, resume, adopt or disown"`
	Force  bool   `query:"force" doc:"do not leave it to the guest"`
}

type resizeIn struct {
	InstanceMutation
	Body fleet.ResizeInstance
}

// acceptedOut is the answer to a mutation of an instance.
type acceptedOut struct {
	Status  int
	Version string `header:"Grapevine-Version" doc:"the host's version under which the change is visible"`
	Body    fleet.Accepted
}

// about is what all mutations share, for the document.
const about = "202 says that the owning host has promised it durably; it is done when the instance's row says so. " +
	"With wait the reply is held: 200 says that it is done, the row then has no task, or gone is true; 202 that it goes on. " +
	"A task that failed leaves its reason in the row's fault."

func (s *server) addMutations() {
	add(s, route{method: http.MethodPost, path: "/v1/instances", id: "create-instance", tag: "instances", status: http.StatusAccepted, summary: "Create an instance, or several", description: about + aboutBatch}, s.createInstance)
	add(s, route{method: http.MethodDelete, path: "/v1/instances/{id}", id: "delete-instance", tag: "instances", status: http.StatusAccepted, summary: "Delete an instance", description: about}, s.deleteInstance)
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/resize", id: "resize-instance", tag: "instances", status: http.StatusAccepted, summary: "Give an instance another size",
		description: "Its host must have room for it. A disk may grow and never shrinks; a flavor without a disk leaves it as it is. " +
			"An instance that runs is given more on a host with the trait resize-live, as far as it was built to take that; otherwise the answer is conflict, and it has to be stopped first. " + about,
	}, s.resizeInstance)
	add(s, route{method: http.MethodPost, path: "/v1/instances/{id}/{action}", id: "act-instance", tag: "instances", status: http.StatusAccepted, summary: "Do something to an instance", description: about}, s.actInstance)
}

func (s *server) createInstance(ctx context.Context, in *createIn) (*createdOut, error) {
	wait, err := parseWait(in.Wait)
	if err != nil {
		return nil, err
	}
	if in.Key != "" {
		if err := fleet.CheckName("Idempotency-Key", in.Key); err != nil {
			return nil, err
		}
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	if err := s.mayCreate(ctx, &in.Body.Create); err != nil {
		return nil, err
	}
	if in.Body.Count > 0 {
		return s.createBatch(ctx, in, wait)
	}
	hash := sha256.Sum256(in.sent)
	accepted, err := s.core.CreateInstance(ctx, CreateInstance{Create: in.Body.Create, Key: in.Key, Hash: hex.EncodeToString(hash[:]), Fast: in.Consistency == fleet.ConsistencyFast})
	if err != nil {
		return nil, err
	}
	out := s.reply(ctx, accepted, wait)
	return &createdOut{Status: out.Status, Version: out.Version, Body: created{one: &out.Body}}, nil
}

// mayCreate settles the project of a create, and refuses a clone of what is not of
// that project.
func (s *server) mayCreate(ctx context.Context, c *fleet.Create) error {
	if err := s.atRegistry(ctx); err != nil {
		return err
	}
	if err := into(ctx, &c.Project); err != nil {
		return err
	}
	if c.Source == "" || !askingIn(ctx).who.OfProject() {
		return nil
	}
	return s.own(ctx, c.Source)
}

func (s *server) deleteInstance(ctx context.Context, in *InstanceMutation) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) { return s.core.DeleteInstance(ctx, id) })
}

func (s *server) actInstance(ctx context.Context, in *actIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		action := fleet.InstanceAction(in.Action)
		if !slices.Contains(fleet.InstanceActions(), action) {
			return fleet.Accepted{}, invalid("instance action %.40q is not one of %v", in.Action, fleet.InstanceActions())
		}
		if (action == fleet.Adopt || action == fleet.Disown) && askingIn(ctx).who.OfProject() {
			return fleet.Accepted{}, &fleet.Error{Code: fleet.CodeForbidden, Detail: string(action) + " is done by operators: it says whether a machine is Grapevine's at all"}
		}
		return s.core.ActInstance(ctx, id, action, ActOptions{Force: in.Force})
	})
}

func (s *server) resizeInstance(ctx context.Context, in *resizeIn) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if in.Body.Flavor == "" {
			return fleet.Accepted{}, invalid("flavor is empty; list them with: grapevine flavor list")
		}
		if err := s.atRegistry(ctx); err != nil {
			return fleet.Accepted{}, err
		}
		return s.core.ResizeInstance(ctx, id, in.Body.Flavor)
	})
}

// reply answers a promised mutation, after holding the answer for at most wait.
// Nothing that goes wrong while waiting takes the promise back.
func (s *server) reply(ctx context.Context, accepted fleet.Accepted, wait time.Duration) *acceptedOut {
	out := &acceptedOut{Status: http.StatusAccepted}
	if wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		row, err := s.core.Await(waiting, accepted.Instance.ID, accepted.Version)
		switch {
		case err != nil:
			s.log.WarnContext(ctx, "wait failed", "instance", accepted.Instance.ID.String(), "error", err)
		case waiting.Err() == nil && row == nil:
			out.Status, accepted.Gone = http.StatusOK, true
		case waiting.Err() == nil:
			out.Status = http.StatusOK
		}
		// A row from before the promise would tell of the past; that of another host
		// is where the instance has gone since.
		if err == nil && row != nil && (row.Version.Host != accepted.Version.Host || row.Version.AtLeast(accepted.Version)) {
			accepted.Instance, accepted.Version = *row, row.Version
		}
	}
	accepted.Instance = presentInstance(accepted.Instance)
	out.Version, out.Body = accepted.Version.String(), accepted
	return out
}
