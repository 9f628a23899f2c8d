package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

// Witness is what agents serve to those who ask for keys, and to one another.
type Witness interface {
	// Grant judges a question about a key. What it answers is in the journal.
	Grant(ctx context.Context, ask fleet.GrantAsk) (fleet.GrantAnswer, error)
	// Grants returns a part of what this witness has, of the keys after one.
	Grants(ctx context.Context, after fleet.UUID) (fleet.GrantPage, error)
	// WitnessState says which set this agent goes by, and whether it grants.
	WitnessState(ctx context.Context) (fleet.WitnessState, error)
	// TellWitness takes a newer set over, durably.
	TellWitness(ctx context.Context, update fleet.WitnessUpdate) (fleet.WitnessState, error)
}

// WitnessKeeper shows and changes the witness set of the fleet.
type WitnessKeeper interface {
	// Witnesses asks each witness.
	Witnesses(ctx context.Context) (fleet.WitnessReport, error)
	// ChangeWitnesses pins the fleet's first set, or has one member replaced: the
	// change is decided when it returns, and ends by itself once the new member
	// has learnt what the others know.
	ChangeWitnesses(ctx context.Context, change fleet.WitnessChange) (fleet.WitnessReport, error)
}

type grantIn struct {
	Key  string `path:"key" doc:"the key"`
	Body fleet.GrantAsk
}

type afterIn struct {
	After string `query:"after" doc:"the key after which to begin"`
}

type toldIn struct{ Body fleet.WitnessUpdate }

type witnessChangeIn struct{ Body fleet.WitnessChange }

// addWitness adds what agents serve as witnesses.
func (s *server) addWitness() {
	add(s, route{
		method: http.MethodPut, path: "/v1/grants/{key}", id: "put-grant", tag: "nodes", summary: "Ask this witness about a key",
		description: "Without grant for a promise, with it to accept under a promise. docs/protocol.md has the rules.",
	}, s.putGrant)
	add(s, route{method: http.MethodGet, path: "/v1/grants", id: "list-grants", tag: "nodes", summary: "Read what this witness has, in parts"}, s.listGrants)
	add(s, route{method: http.MethodGet, path: "/v1/witness", id: "get-witness", tag: "nodes", summary: "Show by which witness set this agent goes"}, s.getWitness)
	add(s, route{
		method: http.MethodPut, path: "/v1/witness", id: "put-witness", tag: "nodes", summary: "Tell this agent which witness set there is",
		description: "One that is not newer than what it knows changes nothing.",
	}, s.putWitness)
}

// addWitnesses adds what is served to operators.
func (s *server) addWitnesses() {
	add(s, route{method: http.MethodGet, path: "/v1/witnesses", id: "list-witnesses", tag: "witnesses", summary: "Show the witness set, and what each witness says"}, s.listWitnesses)
	add(s, route{
		method: http.MethodPost, path: "/v1/witnesses", id: "change-witnesses", tag: "witnesses", summary: "Pin the first witness set, or replace one witness",
		description: "Five members make the fleet's first set; old and new replace one. A replacement ends by itself once the new witness has learnt what the others know.",
	}, s.changeWitnesses)
}

func (s *server) putGrant(ctx context.Context, in *grantIn) (*out[fleet.GrantAnswer], error) {
	key, err := parseID("key", in.Key)
	if err != nil {
		return nil, err
	}
	if key != in.Body.Key {
		return nil, invalid("the question is about key %s and the path about %s; they must be the same", in.Body.Key, key)
	}
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	return answered(s.opts.Node.Grant(ctx, in.Body))
}

func (s *server) listGrants(ctx context.Context, in *afterIn) (*out[fleet.GrantPage], error) {
	after := fleet.UUID{}
	if in.After != "" {
		var err error
		if after, err = parseID("key", in.After); err != nil {
			return nil, err
		}
	}
	page, err := s.opts.Node.Grants(ctx, after)
	page.Entries = list(page.Entries)
	return answered(page, err)
}

func (s *server) getWitness(ctx context.Context, _ *nothing) (*out[fleet.WitnessState], error) {
	return answered(s.opts.Node.WitnessState(ctx))
}

func (s *server) putWitness(ctx context.Context, in *toldIn) (*out[fleet.WitnessState], error) {
	if err := in.Body.Set.Validate(); err != nil {
		return nil, err
	}
	return answered(s.opts.Node.TellWitness(ctx, in.Body))
}

func (s *server) listWitnesses(ctx context.Context, _ *nothing) (*out[fleet.WitnessReport], error) {
	return reported(s.core.Witnesses(ctx))
}

func (s *server) changeWitnesses(ctx context.Context, in *witnessChangeIn) (*out[fleet.WitnessReport], error) {
	pins, replaces := len(in.Body.Members) > 0, in.Body.Old != "" || in.Body.New != ""
	if pins == replaces || replaces && (in.Body.Old == "" || in.Body.New == "") {
		return nil, invalid("give either members, or old and new")
	}
	return reported(s.core.ChangeWitnesses(ctx, in.Body))
}

func reported(r fleet.WitnessReport, err error) (*out[fleet.WitnessReport], error) {
	r.Members, r.Waiting = list(r.Members), list(r.Waiting)
	r.Set.Members = list(r.Set.Members)
	return answered(r, err)
}

// answered is the body of an answer, or its error.
func answered[T any](body T, err error) (*out[T], error) {
	if err != nil {
		return nil, err
	}
	return &out[T]{body}, nil
}
