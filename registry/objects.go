package registry

import (
	"cmp"
	"context"
	"time"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
)

// heardWithin is how long an answer waits until this registry has heard itself
// of what was made or ended, so that the next request here goes by it.
const heardWithin = 5 * time.Second

// CreateGroup implements api.Core: an agent accepts the record. The id is drawn
// here, so that the same at the next agent is the same group.
func (c *core) CreateGroup(ctx context.Context, ask fleet.CreateGroup, who api.Principal) (fleet.Group, error) {
	if err := c.passOn(&ask.PassedOn, who); err != nil {
		return fleet.Group{}, err
	}
	made, err := accept(ctx, c, c.acceptorsOf(ask.Project, ask.Name), func(ctx context.Context, peer *client.Client) (fleet.Group, error) {
		return peer.CreateGroup(ctx, ask)
	})
	if err == nil {
		c.awaitObject(ctx, fleet.MakeGroup, made.ID)
	}
	return made, err
}

// CreateKeyPair implements api.Core, as CreateGroup.
func (c *core) CreateKeyPair(ctx context.Context, ask fleet.CreateKeyPair, who api.Principal) (fleet.KeyPair, error) {
	if err := c.passOn(&ask.PassedOn, who); err != nil {
		return fleet.KeyPair{}, err
	}
	made, err := accept(ctx, c, c.acceptorsOf(ask.Project, ask.Name), func(ctx context.Context, peer *client.Client) (fleet.KeyPair, error) {
		return peer.CreateKeyPair(ctx, ask)
	})
	if err == nil {
		c.awaitObject(ctx, fleet.MakeKeyPair, made.ID)
	}
	return made, err
}

// EndObject implements api.Core: an agent accepts the record that ends it.
func (c *core) EndObject(ctx context.Context, kind fleet.RecordKind, ref fleet.ObjectRef, by string, who api.Principal) (fleet.Decided, error) {
	if by != "" {
		return fleet.Decided{}, errPassedOn
	}
	made, err := c.Object(kind, ref, fleet.CodeNotFound)
	if err != nil {
		return fleet.Decided{}, cmp.Or(c.notReady(), err)
	}
	ref = fleet.ObjectRef{IDOrName: made.Subject.String(), Project: made.Project}
	done, err := accept(ctx, c, c.acceptorsOf(made.Project, made.Name), func(ctx context.Context, peer *client.Client) (fleet.Decided, error) {
		return peer.EndObject(ctx, kind, ref, who.Word())
	})
	if err == nil {
		c.awaitObject(ctx, kind.End(), made.Subject)
	}
	return done, err
}

// passOn fills in what an agent is told by a registry alone.
func (c *core) passOn(on *fleet.PassedOn, who api.Principal) error {
	if on.By != "" || !on.ID.IsZero() {
		return errPassedOn
	}
	*on = fleet.PassedOn{ID: newInstanceID(), By: who.Word()}
	return c.notReady()
}

// acceptorsOf is the order in which agents are asked to accept an object: the
// same at every registry for one name, so that of two requests for it the
// second is refused wherever it is made.
func (c *core) acceptorsOf(project, name string) []fleet.HostID {
	return fleet.RankedFor(fleet.NameKey(cmp.Or(project, fleet.DefaultProject), name), c.HostIDs())
}

func (c *core) awaitObject(ctx context.Context, kind fleet.RecordKind, id fleet.UUID) {
	ctx, cancel := context.WithTimeout(ctx, heardWithin)
	defer cancel()
	c.AwaitRecord(ctx, fleet.NameRecord(&fleet.Record{Kind: kind, Subject: id}))
}
