package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/grants/ask"
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
	if c.UniqueName {
		return fleet.Accepted{}, errorf(fleet.CodeUnsupported, "an agent gives no unique names; send this create to a registry")
	}
	if err := a.anchorHere(ctx, &req); err != nil {
		return fleet.Accepted{}, err
	}
	proposal := fleet.Proposal{Request: req, RequestHash: c.Hash, Attempt: 1}
	if c.Key == "" {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails: see crypto/rand
		proposal.ID = fleet.NewUUIDv4(random)
		return a.Claim(ctx, proposal)
	}
	proposal.ID = fleet.KeyedInstanceID(req.Project, c.Key)
	if c.Fast {
		accepted, err := a.Claim(ctx, proposal)
		accepted.Consistency = fleet.ConsistencyFast
		return accepted, err
	}
	record, err := a.register(ctx, &proposal)
	if err != nil {
		return fleet.Accepted{}, err
	}
	proposal.Attempt = record.Attempt
	return a.Claim(ctx, proposal)
}

// Batch implements api.Writer: all of a batch is made on this host, or refused by
// it.
func (a *Agent) Batch() func(context.Context, api.CreateInstance) (fleet.Accepted, error) {
	return a.CreateInstance
}

// anchorHere makes this host the anchor of the strict affinity group that a
// request joins, unless another one is: that is moved by a registry alone.
func (a *Agent) anchorHere(ctx context.Context, req *fleet.Request) error {
	if req.Group.Policy != fleet.Affinity {
		return nil
	}
	if host := a.AnchorWanted(req.Group.ID); !host.IsZero() && host != a.hostID {
		return errorf(fleet.CodeMisdirected, "the instances of affinity group %s are on host %s; ask a registry", req.Group.ID, a.HostName(host))
	}
	key := fleet.AnchorKey(req.Group.ID)
	keys, err := a.keysFor(key)
	if err != nil {
		return err
	}
	answer, err := changeKey(ctx, keys, fleet.KeyChange{Record: fleet.KeyRecord{Instance: key, RequestHash: fleet.AnchorHash, Host: a.hostID, Attempt: 1}})
	if err != nil {
		return err
	}
	if answer.Record.Host != a.hostID {
		return errorf(fleet.CodeMisdirected, "host %s is the anchor of affinity group %s; ask a registry", a.HostName(answer.Record.Host), req.Group.ID)
	}
	req.Group.Anchor, req.Group.AnchorAttempt = a.hostID, answer.Record.Attempt
	return nil
}

// maxTakeovers bounds how often one request takes a record over from others
// with the same key. Each try fails only because another one has succeeded.
const maxTakeovers = 16

// homeAnswers is how long a key's home may take to answer; one that is frozen
// would be waited for for ever.
const homeAnswers = 10 * time.Second

// register has the instance given to this host by whoever decides about its key,
// and returns the record once this very request has stored it. One that another
// request stored, for this host too, is taken over under the next attempt: only
// who stored the newest attempt may propose it, and a registry that found this
// host not answering would otherwise still be free to move the instance on.
func (a *Agent) register(ctx context.Context, p *fleet.Proposal) (fleet.KeyRecord, error) {
	keys, err := a.keysFor(p.ID)
	if err != nil {
		return fleet.KeyRecord{}, err
	}
	var held fleet.KeyRecord
	for range maxTakeovers {
		answer, err := changeKey(ctx, keys, fleet.KeyChange{
			Record:    fleet.KeyRecord{Instance: p.ID, RequestHash: p.RequestHash, Host: a.hostID, Attempt: held.Attempt + 1},
			IfAttempt: held.Attempt,
		})
		if err != nil {
			return fleet.KeyRecord{}, err
		}
		held = answer.Record
		switch {
		case answer.Stored:
			return held, nil
		case held.RequestHash != p.RequestHash:
			return fleet.KeyRecord{}, &fleet.Error{
				Code: fleet.CodeKeyReused, Instance: p.ID,
				Detail: "this idempotency key was used with another body; use another key for another request",
			}
		case held.Host != a.hostID:
			return fleet.KeyRecord{}, errorf(fleet.CodeMisdirected, "this request was given to host %s before; ask a registry, or that host's agent", a.HostName(held.Host))
		}
	}
	return fleet.KeyRecord{}, &fleet.Error{
		Code: fleet.CodeBusy, Instance: p.ID,
		Detail: "other requests with this idempotency key are under way; wait for one of them, or send it again",
	}
}

// keysFor returns who decides about a key: the witnesses, or where there are
// none its home.
func (a *Agent) keysFor(id fleet.InstanceID) (ask.Keys, error) {
	home, err := a.homeOf(id)
	if err != nil {
		return nil, err
	}
	set := a.witnessSet()
	if set.IsZero() {
		return &atHome{a, home}, nil
	}
	if !a.Follows(home) {
		return nil, errorf(fleet.CodeKeyHomeUnreachable, "host %s keeps this key by the rule from before the witness set, and has not handed it over yet; send the same request again later", a.HostName(home))
	}
	return ask.ByWitnesses{Asker: &a.witnessing.asker, Set: set, Token: ask.NewToken()}, nil
}

// homeOf returns the home of a key. While an agent is known whose host has not
// been heard of, this node could take a wrong host for it.
func (a *Agent) homeOf(id fleet.InstanceID) (fleet.HostID, error) {
	if err := a.mesh.Whole(); err != nil {
		return fleet.HostID{}, errorf(fleet.CodeNotReady, "host %s cannot tell yet which host keeps this key: %v; try again in a moment", a.name(), err)
	}
	for _, m := range a.mesh.Members() {
		if m.Role == fleet.RoleAgent && m.Status == fleet.MemberAlive && a.mesh.Replica().Block(m.ID) == nil {
			return fleet.HostID{}, errorf(fleet.CodeNotReady, "host %s has not heard from host %s yet, so it cannot tell which host keeps this key; try again in a moment", a.name(), m.ID)
		}
	}
	home, ok := fleet.HomeOf(id, a.HostIDs())
	if !ok {
		return fleet.HostID{}, errorf(fleet.CodeNotReady, "no host is known yet; try again in a moment")
	}
	return home, nil
}

// atHome asks the key's home, which may be this host.
type atHome struct {
	*Agent
	home fleet.HostID
}

// Key implements ask.Keys.
func (h *atHome) Key(ctx context.Context, id fleet.UUID) (fleet.KeyRecord, error) {
	node, err := h.node(h.home)
	if err != nil {
		return fleet.KeyRecord{}, h.unreachable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, homeAnswers)
	defer cancel()
	record, err := node.Key(ctx, id)
	return record, h.unreachable(err)
}

// ChangeKey implements ask.Keys.
func (h *atHome) ChangeKey(ctx context.Context, id fleet.InstanceID, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	node, err := h.node(h.home)
	if err != nil {
		return fleet.KeyAnswer{}, h.unreachable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, homeAnswers)
	defer cancel()
	answer, err := node.ChangeKey(ctx, id, change)
	return answer, h.unreachable(err)
}

// unreachable turns what says that the home gave no answer into its one code.
func (h *atHome) unreachable(err error) error {
	if fleet.CodeOf(err) == fleet.CodeHostUnreachable || errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown) {
		return errorf(fleet.CodeKeyHomeUnreachable,
			"host %s, which decides who has this key, does not answer; the same request may be sent again later", h.HostName(h.home))
	}
	return err
}

// changeKey asks who decides about a key.
func changeKey(ctx context.Context, keys ask.Keys, change fleet.KeyChange) (fleet.KeyAnswer, error) {
	answer, err := keys.ChangeKey(ctx, change.Record.Instance, change)
	if fleet.CodeOf(err) == fleet.CodeNotFound {
		return fleet.KeyAnswer{}, errorf(fleet.CodeConflict, "the record of this idempotency key expired just now; send the request again")
	}
	return answer, err
}
