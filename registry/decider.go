package registry

import (
	"context"
	"errors"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/grants/ask"
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
func (d *decider) ask(ctx context.Context, call func(context.Context, ask.Keys) error) error {
	if d.keys != nil {
		return call(ctx, d.keys)
	}
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
