package agent

import (
	"context"
	"crypto/rand"

	"grapevine/agent/records"
	"grapevine/api"
	"grapevine/fleet"
)

// CreateGroup implements api.Writer: it answers once enough agents hold the
// record that makes the group.
func (a *Agent) CreateGroup(ctx context.Context, c fleet.CreateGroup, who api.Principal) (fleet.Group, error) {
	r, err := a.makeObject(ctx, fleet.Record{Kind: fleet.MakeGroup, Name: c.Name, Project: c.Project, Policy: c.Policy}, &c.PassedOn, who)
	return fleet.GroupOf(&r), err
}

// CreateKeyPair implements api.Writer.
func (a *Agent) CreateKeyPair(ctx context.Context, c fleet.CreateKeyPair, who api.Principal) (fleet.KeyPair, error) {
	r, err := a.makeObject(ctx, fleet.Record{Kind: fleet.MakeKeyPair, Name: c.Name, Project: c.Project, PublicKey: c.PublicKey}, &c.PassedOn, who)
	return fleet.KeyPairOf(&r), err
}

// EndObject implements api.Writer: the object that is meant is ended for ever.
func (a *Agent) EndObject(ctx context.Context, kind fleet.RecordKind, ref fleet.ObjectRef, by string, who api.Principal) (fleet.Decided, error) {
	if err := a.settled(); err != nil {
		return fleet.Decided{}, err
	}
	word, err := wordOf(by, who)
	if err != nil {
		return fleet.Decided{}, err
	}
	made, err := a.Object(kind, ref, fleet.CodeNotFound)
	if err != nil {
		return fleet.Decided{}, err
	}
	return a.accept(ctx, fleet.Record{Kind: kind.End(), Subject: made.Subject, Name: made.Name, Project: made.Project}, word, "")
}

// makeObject has an object made. A name that is shown already is a conflict,
// unless too few hold that very object yet: then this is the same request, sent
// again, and goes on.
func (a *Agent) makeObject(ctx context.Context, r fleet.Record, on *fleet.PassedOn, who api.Principal) (fleet.Record, error) {
	if err := a.settled(); err != nil {
		return fleet.Record{}, err
	}
	by, err := wordOf(on.By, who)
	if err != nil {
		return fleet.Record{}, err
	}
	if r.Project == "" {
		r.Project = fleet.DefaultProject
	}
	r.Subject = on.ID
	switch {
	case r.Subject.IsZero():
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails: see crypto/rand
		r.Subject = fleet.NewUUIDv4(random)
	case who.Role != api.AsRegistry:
		return fleet.Record{}, errorf(fleet.CodeInvalid, "id is drawn by a registry that passes a request on; leave it out")
	}
	unlock := a.keys.lock(fleet.NameKey(string(r.Kind)+"/"+r.Project, r.Name))
	defer unlock()
	held, err := a.Object(r.Kind, fleet.ObjectRef{IDOrName: r.Name, Project: r.Project}, fleet.CodeNotFound)
	switch same := held.Policy == r.Policy && held.PublicKey == r.PublicKey; {
	case fleet.CodeOf(err) == fleet.CodeAmbiguous:
		return fleet.Record{}, err
	case err == nil && same && (held.Subject == r.Subject || len(a.bearers(held.ID)) < records.Needed(1+len(a.holdersToBe(&held)))):
		done, err := a.hold(ctx, held)
		return done.Record, err
	case err == nil:
		return fleet.Record{}, errorf(fleet.CodeConflict, "project %q has one named %q already, with the id %s; use another name", r.Project, r.Name, held.Subject)
	case a.CountObjects(r.Kind) >= fleet.MaxObjects:
		return fleet.Record{}, errorf(fleet.CodeTooMany, "the fleet has %d of them, the most that there may be; delete some", fleet.MaxObjects)
	}
	done, err := a.accept(ctx, r, by, "")
	return done.Record, err
}
