package agent

import (
	"context"
	"errors"
	"fmt"

	"grapevine/agent/journal"
	"grapevine/fleet"
)

// leadHere has the records of the instance's idempotency key and of its name, where
// that is unique, say that it is here, or where it has gone on to since. Until they
// do, the host that had it says so to whoever asks it.
func (a *Agent) leadHere(ctx context.Context, op *journal.Operation) error {
	host := a.hostID
	a.state.mu.Lock()
	if d := a.state.deleted[op.Instance]; !d.To.IsZero() {
		host = d.To
	}
	a.state.mu.Unlock()
	return errors.Join(a.leadKey(ctx, op, host), a.leadName(ctx, op, host))
}

// leadKey has a create with the instance's key find it. Whoever was about to
// propose the instance to the host that had it is refused there.
func (a *Agent) leadKey(ctx context.Context, op *journal.Operation, host fleet.HostID) error {
	const keyedVersion = 5 // of ids that were made of a key
	if op.Instance[6]>>4 != keyedVersion || op.Moving.RequestHash == "" {
		return nil
	}
	keys, err := a.keysFor(op.Instance)
	if err != nil {
		return err
	}
	record := fleet.KeyRecord{Instance: op.Instance, RequestHash: op.Moving.RequestHash, Host: host, Attempt: 1}
	change := fleet.KeyChange{Record: record}
	for range maxTakeovers {
		answer, err := changeKey(ctx, keys, change)
		held := answer.Record
		if err != nil || answer.Stored || held.Host != op.Moving.Source || held.RequestHash != record.RequestHash {
			return err
		}
		change.IfAttempt, change.Record.Attempt = held.Attempt, held.Attempt+1
	}
	return errors.New("others use the same idempotency key")
}

// leadName has who wants the instance's name ask here whether that is still there.
func (a *Agent) leadName(ctx context.Context, op *journal.Operation, host fleet.HostID) error {
	key := fleet.NameKey(op.Moving.Request.Project, op.Moving.Request.Name)
	keys, err := a.keysFor(key)
	if err != nil {
		return err
	}
	for range maxTakeovers {
		held, err := keys.Key(ctx, key)
		switch {
		case fleet.CodeOf(err) == fleet.CodeNotFound:
			return nil // it is not unique
		case err != nil:
			return err
		case held.Released, held.Instance != op.Instance, held.Host != op.Moving.Source:
			return nil
		}
		next := held
		next.Host, next.Attempt = host, held.Attempt+1
		answer, err := keys.ChangeKey(ctx, key, fleet.KeyChange{Record: next, IfAttempt: held.Attempt})
		if answer.Stored || err != nil && fleet.CodeOf(err) != fleet.CodeNotFound {
			return err
		}
	}
	return fmt.Errorf("others ask for the name %q", op.Moving.Request.Name)
}
