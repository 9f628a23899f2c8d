package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"grapevine/fleet"
)

type auditIn struct {
	ID      string    `path:"id" doc:"the host's id"`
	After   string    `query:"after" example:"0" doc:"number of an entry: those after it, the oldest first; with 0 from the first that is kept"`
	Before  uint64    `query:"before" doc:"number of an entry: those before it, the newest first; left out, with after too: the newest"`
	Limit   int       `query:"limit" minimum:"1" maximum:"1000" doc:"entries of a page; 1000 when left out"`
	Since   time.Time `query:"since" doc:"only entries of this time or later, by the host's own clock"`
	Who     string    `query:"who" doc:"only what somebody asked whose role, name, id or address has this in it"`
	Subject string    `query:"subject" doc:"only what was about an id that begins so"`
}

func (s *server) addAudit() {
	add(s, route{
		method: http.MethodGet, path: "/v1/hosts/{id}/audit", id: "list-audit", tag: "audit", summary: "Read what a host was asked to change, and by whom",
		description: "The host is asked. Each entry bears the hash of the one before it: grapevine audit verify works them out again. begin names the last entry that is not kept any more, head the newest.",
	}, s.listAudit)
	add(s, route{
		method: http.MethodGet, path: "/v1/hosts/{id}/audit/heads", id: "list-audit-heads", tag: "audit", summary: "Say what nodes have heard of a host's audit log",
		description: "Numbers and hashes of entries, as the host published them, the newest and some older ones. A log that has other hashes there, or ends before, is not what it was.",
	}, s.auditHeads)
}

type auditHeadsIn struct {
	ID    string `path:"id" doc:"the host's id"`
	Local bool   `query:"local" doc:"only what this node itself has heard; it asks no other"`
}

func (s *server) auditHeads(ctx context.Context, in *auditHeadsIn) (*out[fleet.AuditHeads], error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	heads, err := s.reads(ctx).AuditHeads(ctx, id, in.Local)
	if err != nil {
		return nil, err
	}
	heads.Items = list(heads.Items)
	return &out[fleet.AuditHeads]{heads}, nil
}

func (s *server) listAudit(ctx context.Context, in *auditIn) (*out[fleet.AuditPage], error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	q := fleet.AuditQuery{Before: in.Before, Limit: in.Limit, Since: in.Since, Who: in.Who, Subject: in.Subject}
	if in.After != "" {
		after, err := strconv.ParseUint(in.After, 10, 64)
		switch {
		case err != nil:
			return nil, badRequest("after %.40q is not the number of an entry", in.After)
		case in.Before != 0:
			return nil, badRequest("give either after or before, not both")
		}
		q.After = &after
	}
	page, err := s.reads(ctx).Audit(ctx, id, q)
	if err != nil {
		return nil, err
	}
	page.Items = list(page.Items)
	return &out[fleet.AuditPage]{page}, nil
}
