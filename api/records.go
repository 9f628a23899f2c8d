package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type decideIn struct {
	ID   string `path:"id" doc:"the host's id"`
	Body fleet.Decide

	who Principal
}

// Resolve implements huma.Resolver.
func (in *decideIn) Resolve(hc huma.Context) []error {
	in.who = principalOf(humagin.Unwrap(hc))
	return nil
}

type recordsIn struct {
	Subject string `query:"subject" doc:"id of a host or an instance: only what is about it"`
	Limit   int    `query:"limit" minimum:"1" maximum:"10000" doc:"records of a page; 1000 when left out"`
	Marker  string `query:"marker" doc:"next of the page before; one past the end gives an empty page"`
}

type recordIn struct {
	ID   string `path:"id" doc:"its id"`
	Body fleet.Record
}

// aboutDecisions is what both decisions share, for the document.
const aboutDecisions = "Refused for a host that can be heard. It is a record: in force as soon as one agent holds it, and answered once three agents (all, where there are fewer) " +
	"have it in their journals; 503 too_few_holders says how many do, and the same request may be sent again. It covers the host as it was heard last: one that comes back " +
	"starts a later epoch, which it does not cover."

func (s *server) addRecords() {
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/declare-dead", id: "declare-dead", tag: "hosts", summary: "State that a host is dead",
		description: "It stays listed, nothing is placed there, and its instances may be created elsewhere. " + aboutDecisions,
	}, s.decide(fleet.DeclareDead))
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/forget", id: "forget-host", tag: "hosts", summary: "State that a host does not come back",
		description: "Neither it nor what it had is listed or counted any more, and it keeps no keys. " + aboutDecisions,
	}, s.decide(fleet.Forget))
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/revoke", id: "revoke-host", tag: "hosts", summary: "Have a host's certificates refused",
		description: "Every node that has heard of it refuses the certificates that the host, or registry, of this id was enrolled for up to now, closes its links, and takes it for one that failed; " +
			"its rows stay. It may be heard, and need not be known. A join token for its id lets it in again. It is a record: in force as soon as one agent holds it, and answered once three agents (all, where there are fewer) have it.",
	}, s.decide(fleet.RevokeHost))
	add(s, route{
		method: http.MethodGet, path: "/v1/records", id: "list-records", tag: "records", summary: "List the facts that no host owns, page by page",
		description: "Decisions about hosts and intents to delete instances, by id, with who, when and why, with the hosts that hold them, and whether they still stand.",
	}, s.listRecords)
}

func (s *server) decide(kind fleet.RecordKind) func(context.Context, *decideIn) (*out[fleet.Decided], error) {
	return func(ctx context.Context, in *decideIn) (*out[fleet.Decided], error) {
		id, err := parseID("host", in.ID)
		if err != nil {
			return nil, err
		}
		if err := fleet.CheckReason(in.Body.Reason); err != nil {
			return nil, err
		}
		if !in.Body.At.IsZero() && in.who.Role != AsRegistry {
			return nil, invalid("at is filled in by a registry that passes a request on; leave it out")
		}
		done, err := s.core.DecideHost(ctx, id, kind, in.Body, in.who)
		if err != nil {
			return nil, err
		}
		done.Holders = list(done.Holders)
		return &out[fleet.Decided]{done}, nil
	}
}

func (s *server) listRecords(ctx context.Context, in *recordsIn) (*out[fleet.List[fleet.RecordRow]], error) {
	q := fleet.RecordQuery{Limit: in.Limit}
	for _, part := range []struct {
		name, text string
		to         *fleet.UUID
	}{{"subject", in.Subject, &q.Subject}, {"marker", in.Marker, &q.Marker}} {
		if part.text == "" {
			continue
		}
		id, err := parseID(part.name, part.text)
		if err != nil {
			return nil, err
		}
		*part.to = id
	}
	page, err := s.reads(ctx).Records(ctx, q)
	if err != nil {
		return nil, err
	}
	return &out[fleet.List[fleet.RecordRow]]{presentList(page, presentRecord)}, nil
}

func presentRecord(r fleet.RecordRow) fleet.RecordRow {
	r.Holders = list(r.Holders)
	return r
}

func (s *server) putRecord(ctx context.Context, in *recordIn) (*out[fleet.Record], error) {
	id, err := parseID("record", in.ID)
	if err != nil {
		return nil, err
	}
	if in.Body.ID != id {
		return nil, invalid("the record has the id %s and the path %s; they must be the same", in.Body.ID, id)
	}
	held, err := s.opts.Node.PutRecord(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Record]{held}, nil
}
