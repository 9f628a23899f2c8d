package ask

import (
	"context"

	"grapevine/fleet"
)

// Keys decides which host an instance id with an idempotency key was given to:
// the key's home, or the witnesses.
type Keys interface {
	// Key returns the record; CodeNotFound where there is none.
	Key(ctx context.Context, id fleet.InstanceID) (fleet.KeyRecord, error)
	// ChangeKey is a compare-and-set on its attempt; CodeNotFound where there is
	// none any more.
	ChangeKey(ctx context.Context, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error)
}

// ByWitnesses are the keys that witnesses decide about, as one request sees them.
type ByWitnesses struct {
	Asker *Asker
	Set   fleet.WitnessSet
	// Token is the request's own: see NewToken.
	Token fleet.UUID
}

var _ Keys = ByWitnesses{}

// Key implements Keys.
func (w ByWitnesses) Key(ctx context.Context, id fleet.InstanceID) (fleet.KeyRecord, error) {
	outcome, err := w.Asker.Change(ctx, w.Set, id, fleet.GrantChange{})
	switch {
	case err != nil:
		return fleet.KeyRecord{}, err
	case outcome.Grant == nil:
		return fleet.KeyRecord{}, unknownKey(id)
	}
	return outcome.Grant.KeyRecord, nil
}

// ChangeKey implements Keys.
func (w ByWitnesses) ChangeKey(ctx context.Context, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	outcome, err := w.Asker.Change(ctx, w.Set, id, fleet.GrantChange{
		Grant:     &fleet.Grant{Kind: fleet.GrantCreate, KeyRecord: change.Record, Token: w.Token},
		IfAttempt: change.IfAttempt,
	})
	switch {
	case err != nil:
		return fleet.KeyAnswer{}, err
	case outcome.Grant == nil:
		return fleet.KeyAnswer{}, unknownKey(id)
	}
	return fleet.KeyAnswer{Record: outcome.Grant.KeyRecord, Stored: outcome.Stored}, nil
}

func unknownKey(id fleet.InstanceID) error {
	return &fleet.Error{Code: fleet.CodeNotFound, Detail: "the witnesses hold no key for instance " + id.String()}
}
