package registry

import (
	"context"
	"errors"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/grants/ask"
	"grapevine/internal/tracing"
)

// decider is who decides about one key: its home, or the witnesses.
type decider struct {
	core     *core
	home     fleet.HostID // by the home rule
	keys     ask.Keys     // nil for the home itself
	instance fleet.InstanceID
}

// deciderOf finds who decides about a key that an instance is to have; nobody
// does in a fleet without hosts.
func (c *core) deciderOf(key fleet.UUID, instance fleet.InstanceID) (decider, bool, error) {
	home, ok := fleet.HomeOf(key, c.HostIDs())
	if !ok {
		return decider{}, false, nil
	}
	keys, err := c.keysFor(home)
	return decider{core: c, home: home, keys: keys, instance: instance}, true, err
}

// ask calls who decides. That a home does not answer, whatever became of the
// question, is key_home_unreachable: nothing is proposed under a record that is
// not known to be stored.
func (d *decider) ask(ctx context.Context, call func(context.Context, ask.Keys) error) (err error) {
	if d.keys != nil {
		ctx, span := tracing.Start(ctx, "ask witnesses")
		err := call(ctx, d.keys)
		span.End(unlessNotFound(err))
		return err
	}
	ctx, span := tracing.Start(ctx, "ask home")
	d.core.onHost(span, d.home)
	defer func() { span.End(unlessNotFound(err)) }()
	peer, err := d.core.Peer(d.home)
	if err != nil {
		return keyHomeUnreachable(d.core.HostName(d.home), d.instance, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.core.timeout)
	defer cancel()
	err = call(ctx, peer)
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown) || fleet.CodeOf(err) == fleet.CodeNotReady {
		return keyHomeUnreachable(d.core.HostName(d.home), d.instance, err)
	}
	return err
}

// unlessNotFound leaves out the answer that nothing is decided yet, which is what
// most keys are asked for.
func unlessNotFound(err error) error {
	if fleet.CodeOf(err) == fleet.CodeNotFound {
		return nil
	}
	return err
}

// swap stores a record under a key, as the attempt after the one that is known to
// be held, if that is held still; the answer says what then is. The error is
// not_found where what was known has expired.
func (d *decider) swap(ctx context.Context, key fleet.UUID, held uint32, want fleet.KeyRecord) (answer fleet.KeyAnswer, err error) {
	want.Attempt = held + 1
	err = d.ask(ctx, func(ctx context.Context, keys ask.Keys) (err error) {
		answer, err = keys.ChangeKey(ctx, key, fleet.KeyChange{Record: want, IfAttempt: held})
		return err
	})
	return answer, err
}

// heldOf returns what is decided about a key, zero for nothing.
func (d *decider) heldOf(ctx context.Context, key fleet.UUID) (held fleet.KeyRecord, err error) {
	err = d.ask(ctx, func(ctx context.Context, keys ask.Keys) error {
		record, err := keys.Key(ctx, key)
		if fleet.CodeOf(err) == fleet.CodeNotFound {
			return nil
		}
		held = record
		return err
	})
	return held, err
}
