package ask

import (
	"context"

	"grapevine/fleet"
)

// Keys decides who has a key: the key's home, or the witnesses.
type Keys interface {
	// Key returns the record; CodeNotFound where there is none.
	Key(ctx context.Context, key fleet.UUID) (fleet.KeyRecord, error)
	// ChangeKey is a compare-and-set on its attempt; CodeNotFound where there is
	// none any more.
	ChangeKey(ctx context.Context, key fleet.UUID, change fleet.KeyChange) (fleet.KeyAnswer, error)
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
func (w ByWitnesses) Key(ctx context.Context, key fleet.UUID) (fleet.KeyRecord, error) {
	outcome, err := w.Asker.Change(ctx, w.Set, key, fleet.GrantChange{})
	switch {
	case err != nil:
		return fleet.KeyRecord{}, err
	case outcome.Grant == nil:
		return fleet.KeyRecord{}, unknownKey(key)
	}
	return outcome.Grant.KeyRecord, nil
}

// ChangeKey implements Keys.
func (w ByWitnesses) ChangeKey(ctx context.Context, key fleet.UUID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	grant := &fleet.Grant{KeyRecord: change.Record, Token: w.Token}
	if grant.Kind == "" {
		grant.Kind = fleet.GrantCreate
	}
	outcome, err := w.Asker.Change(ctx, w.Set, key, fleet.GrantChange{
		Grant:     grant,
		IfAttempt: change.IfAttempt,
	})
	switch {
	case err != nil:
		return fleet.KeyAnswer{}, err
	case outcome.Grant == nil:
		return fleet.KeyAnswer{}, unknownKey(key)
	}
	return fleet.KeyAnswer{Record: outcome.Grant.KeyRecord, Stored: outcome.Stored}, nil
}

func unknownKey(key fleet.UUID) error {
	return &fleet.Error{Code: fleet.CodeNotFound, Detail: "the witnesses hold nothing of key " + key.String()}
}
