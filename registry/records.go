package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
)

// acceptors is how many agents a registry asks, one after the other, to accept a
// record.
const acceptors = 3

// DecideHost implements api.Core: an agent accepts the decision. One that does
// not answer may have: the same statement at the next one is the same record.
func (c *core) DecideHost(ctx context.Context, id fleet.HostID, kind fleet.RecordKind, ask fleet.Decide, who api.Principal) (fleet.Decided, error) {
	if ask.By != "" {
		return fleet.Decided{}, errPassedOn
	}
	others := c.HostIDs()
	if kind == fleet.RevokeHost {
		if err := c.notReady(); err != nil {
			return fleet.Decided{}, err
		}
		ask.At = time.Now()
		others = slices.DeleteFunc(slices.Clone(others), func(host fleet.HostID) bool { return host == id })
	} else if _, err := c.Deciding(id); err != nil {
		return fleet.Decided{}, cmp.Or(c.notReady(), err)
	}
	ask.By = who.Word()
	return accept(ctx, c, fleet.RankedFor(id, others), func(ctx context.Context, peer *client.Client) (fleet.Decided, error) {
		return peer.DecideHost(ctx, id, kind, ask)
	})
}

// IntendDelete implements api.Core: an agent accepts it, as a decision.
func (c *core) IntendDelete(ctx context.Context, id fleet.InstanceID, ask fleet.Decide, who api.Principal) (fleet.Decided, error) {
	if ask.By != "" {
		return fleet.Decided{}, errPassedOn
	}
	if _, err := c.Instance(ctx, id); err != nil {
		return fleet.Decided{}, cmp.Or(c.notReady(), err)
	}
	ask.By = who.Word()
	return accept(ctx, c, fleet.RankedFor(id, c.HostIDs()), func(ctx context.Context, peer *client.Client) (fleet.Decided, error) {
		return peer.IntendDelete(ctx, id, ask)
	})
}

// orWhenBack says what else can be done about an instance whose host cannot be
// asked to delete it. Nil stays nil.
func orWhenBack(err error) error {
	var e *fleet.Error
	if !errors.As(err, &e) || e.Code != fleet.CodeHostUnreachable {
		return err
	}
	told := *e
	told.Detail += "; to have the instance deleted when its host is back: grapevine instance delete --when-back"
	return &told
}

var errPassedOn = &fleet.Error{Code: fleet.CodeInvalid, Detail: "by is filled in by a registry that passes a request on; leave it out"}

// accept asks agents that can be heard, in this order, until one has answered.
func accept[T any](ctx context.Context, c *core, hosts []fleet.HostID, ask func(context.Context, *client.Client) (T, error)) (T, error) {
	var none T
	last := errors.New("no agent can be heard")
	for asked, i := 0, 0; asked < acceptors && i < len(hosts); i++ {
		if !c.Heard(hosts[i]) {
			continue
		}
		asked++
		answer, err := acceptAt(ctx, c, hosts[i], ask)
		switch {
		case err == nil:
			return answer, nil
		case !errors.Is(err, client.ErrUnreachable) && !errors.Is(err, client.ErrOutcomeUnknown) &&
			fleet.CodeOf(err) != fleet.CodeNotReady && fleet.CodeOf(err) != fleet.CodeTooMany && fleet.CodeOf(err) != fleet.CodeHostUnreachable:
			return none, err
		}
		last = fmt.Errorf("host %s: %w", c.HostName(hosts[i]), err)
	}
	return none, &fleet.Error{Code: fleet.CodeTooFewHolders, Detail: fmt.Sprintf(
		"no agent is known to hold the record; the same request may be sent again when some can be reached, and makes no second record (%v)", last)}
}

func acceptAt[T any](ctx context.Context, c *core, host fleet.HostID, ask func(context.Context, *client.Client) (T, error)) (T, error) {
	peer, err := c.Peer(host)
	if err != nil {
		var none T
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return ask(ctx, peer)
}
