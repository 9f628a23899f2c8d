package registry

import (
	"context"
	"errors"

	"grapevine/fleet"
)

// The members of a strict affinity group go to its anchor, a host that is
// granted under one key of the fleet as instances are: by the key's home, or by
// the witnesses. It is moved only when its host has durably refused every member
// under the attempt that made it the anchor, while it had none (RefuseAnchor), or
// when an operator gave the host up. See agent/ledger/group.go.

// anchored fills in the anchor of the request's group. Lost is an attempt under
// which the anchor's host was found to take no members any more, 0 for none.
func (p *placing) anchored(ctx context.Context, lost uint32) error {
	if p.req.Group.Policy != fleet.Affinity {
		return nil
	}
	key := fleet.AnchorKey(p.req.Group.ID)
	decider, ok, err := p.core.deciderOf(key, p.req.ID)
	switch {
	case err != nil:
		return err
	case !ok:
		return p.nothingFits()
	}
	held, err := decider.heldOf(ctx, key)
	if err != nil {
		return err
	}
	for range maxAttempts {
		if held.Attempt > lost && !p.givenUp(held.Host) {
			p.req.Group.Anchor, p.req.Group.AnchorAttempt = held.Host, held.Attempt
			return nil
		}
		host, ok := p.anchorToBe()
		if !ok {
			return p.nothingFits()
		}
		answer, err := decider.swap(ctx, key, held.Attempt, fleet.KeyRecord{Instance: key, RequestHash: fleet.AnchorHash, Host: host})
		switch {
		case fleet.CodeOf(err) == fleet.CodeNotFound: // it expired just now
			held, lost = fleet.KeyRecord{}, 0
		case err != nil:
			return err
		default:
			held = answer.Record
		}
	}
	return &fleet.Error{Code: fleet.CodeBusy, Detail: "other requests move the host of this affinity group; send the request again"}
}

// anchorToBe returns the host that has members already, or where none is shown
// one that takes the request.
func (p *placing) anchorToBe() (fleet.HostID, bool) {
	if host := p.core.AnchorWanted(p.req.Group.ID); !host.IsZero() {
		return host, true
	}
	free := *p.req
	free.Group = fleet.Joining{}
	return p.core.Pick(&free, p.passed)
}

// anchorToAsk returns the anchor where no member is shown on it and it was not
// asked yet: its row says that it will refuse, but only its refusal sets it free.
func (p *placing) anchorToAsk() (fleet.HostID, bool) {
	anchor := p.req.Group.Anchor
	if p.req.Group.Policy != fleet.Affinity || p.passed[anchor] || !p.core.AnchorWanted(p.req.Group.ID).IsZero() {
		return fleet.HostID{}, false
	}
	return anchor, true
}

// anchorLost returns the attempt under which the anchor's host takes no members
// any more, by what it said; 0 where it did not. Only says that this was its one
// reason: it may be the anchor again.
func (p *placing) anchorLost(err error) (attempt uint32, only bool) {
	var e *fleet.Error
	if !errors.As(err, &e) || e.Code != fleet.CodeRefused {
		return 0, false
	}
	if _, lost := fleet.FindRefusal(e.Refusals, fleet.RefuseAnchor); !lost {
		return 0, false
	}
	return p.req.Group.AnchorAttempt, len(e.Refusals) == 1
}
