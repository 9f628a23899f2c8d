package agent

import (
	"context"
	"crypto/rand"
	"errors"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
)

// CreateInstance implements api.Writer: an instance on this host, and no
// other. With a key its home is asked first, as a registry does.
func (a *Agent) CreateInstance(ctx context.Context, c api.CreateInstance) (fleet.Accepted, error) {
	if c.Host == "" {
		c.Host = a.hostID.String()
	}
	req, err := a.Resolve(ctx, c.Create)
	if err != nil {
		return fleet.Accepted{}, err
	}
	if req.Host != a.hostID {
		return fleet.Accepted{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s, which creates instances only there; ask a registry for host %s", a.name(), c.Host)
	}
	proposal := fleet.Proposal{Request: req, RequestHash: c.Hash, Attempt: 1}
	if c.Key == "" {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails: see crypto/rand
		proposal.ID = fleet.NewUUIDv4(random)
		return a.Claim(ctx, proposal)
	}
	proposal.ID = fleet.KeyedInstanceID(req.Project, c.Key)
	record, err := a.register(ctx, &proposal)
	if err != nil {
		return fleet.Accepted{}, err
	}
	switch {
	case record.RequestHash != c.Hash:
		return fleet.Accepted{}, &fleet.Error{
			Code: fleet.CodeKeyReused, Instance: proposal.ID,
			Detail: "this idempotency key was used with another body; use another key for another request",
		}
	case record.Host != a.hostID:
		return fleet.Accepted{}, errorf(fleet.CodeMisdirected, "this request was given to host %s before; ask a registry, or that host's agent", a.HostName(record.Host))
	}
	proposal.Attempt = record.Attempt
	return a.Claim(ctx, proposal)
}

// register asks the key's home to give the instance to this host, and returns
// the record that the home holds then.
func (a *Agent) register(ctx context.Context, p *fleet.Proposal) (fleet.KeyRecord, error) {
	home, ok := fleet.HomeOf(p.ID, a.HostIDs())
	if !ok {
		return fleet.KeyRecord{}, errorf(fleet.CodeNotReady, "no host is known yet; try again in a moment")
	}
	change := fleet.KeyChange{Record: fleet.KeyRecord{
		Instance: p.ID, RequestHash: p.RequestHash, Host: a.hostID, Attempt: p.Attempt,
	}}
	if home == a.hostID {
		answer, err := a.ChangeKey(ctx, p.ID, change)
		return answer.Record, err
	}
	answer, err := a.askHome(ctx, home, p.ID, change)
	if fleet.CodeOf(err) == fleet.CodeHostUnreachable ||
		errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown) {
		return fleet.KeyRecord{}, errorf(fleet.CodeKeyHomeUnreachable,
			"host %s, which decides who has this key, does not answer; the same request may be sent again later", a.HostName(home))
	}
	return answer.Record, err
}

func (a *Agent) askHome(ctx context.Context, home fleet.HostID, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	peer, err := a.Peer(home)
	if err != nil {
		return fleet.KeyAnswer{}, err
	}
	return peer.ChangeKey(ctx, id, change)
}
