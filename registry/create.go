package registry

import (
	"context"
	"errors"
	"fmt"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/tracing"
	"grapevine/people"
)

// maxAttempts bounds how many hosts one create is proposed to. With a view that
// is a second old nearly every first proposal is taken; sixteen refusals in a
// row mean that the view is worth nothing.
const maxAttempts = 16

// CreateInstance implements api.Core. Without a key it proposes the instance to
// one host after the other until one promises; with a key, the key's home says
// which host may be asked, see keyed.go.
func (c *core) CreateInstance(ctx context.Context, in api.CreateInstance) (fleet.Accepted, error) {
	return c.create(ctx, in, nil)
}

// create is CreateInstance of an instance of a batch, or with nil of a lone one.
func (c *core) create(ctx context.Context, in api.CreateInstance, among *batch) (fleet.Accepted, error) {
	if err := c.notReady(); err != nil {
		return fleet.Accepted{}, err
	}
	req, err := c.Resolve(ctx, c.inProject(in.Create))
	if err != nil {
		return fleet.Accepted{}, err
	}
	p := &placing{core: c, among: among, req: &req, hash: in.Hash, refused: map[fleet.HostID]fleet.Verdict{}, passed: map[fleet.HostID]bool{}}
	ctx, span := tracing.Start(ctx, "place instance")
	span.Text("grapevine.project", req.Project)
	accepted, err := p.place(ctx, &in)
	if span.Recording() {
		span.Text("grapevine.instance", p.req.ID.String())
	}
	span.End(err)
	among.done(&req, &accepted, err)
	c.metrics.created(err)
	if err != nil {
		return fleet.Accepted{}, err
	}
	c.Promised(&accepted.Instance, accepted.Version)
	if accepted.Instance.HostName == "" {
		accepted.Instance.HostName = c.HostName(accepted.Instance.Host)
	}
	return accepted, nil
}

// place has the create proposed in the way that it asks for.
func (p *placing) place(ctx context.Context, in *api.CreateInstance) (accepted fleet.Accepted, err error) {
	p.req.ID = newInstanceID()
	if in.Key != "" {
		p.req.ID = fleet.KeyedInstanceID(p.req.Project, in.Key)
	}
	held, over := p.core.quotas.hold(p.req.Project, claim{id: p.req.ID}, people.Taken{Instances: 1, Resources: p.req.Resources})
	p.over = over
	defer func() { held.done(accepted.Version, err) }()
	unique := in.UniqueName || p.core.unique(p.req.Project)
	switch {
	case in.Fast && unique:
		return fleet.Accepted{}, &fleet.Error{
			Code:   fleet.CodeInvalid,
			Detail: fmt.Sprintf("the name is to be unique in project %q, and consistency=fast asks nobody who has it; leave one of them out", p.req.Project),
		}
	case unique:
		if p.name, err = p.core.newName(p.req.Project, p.req.Name, p.req.ID); err != nil {
			return fleet.Accepted{}, err
		}
	}
	switch {
	case in.Fast:
		accepted, err = p.fast(ctx)
	case in.Key == "":
		accepted, err = p.unkeyed(ctx)
	default:
		accepted, err = p.keyed(ctx)
	}
	if p.name != nil && isRefused(err) && !p.duplicate() {
		p.name.drop(ctx)
	}
	return accepted, err
}

// duplicate reports whether a host refused because the instance may be somewhere.
func (p *placing) duplicate() bool {
	for _, verdict := range p.refused {
		if _, is := fleet.FindRefusal(verdict.Refusals, fleet.RefuseDuplicate); is {
			return true
		}
	}
	return false
}

// placing is one create on its way to a host. It lives as long as the request.
type placing struct {
	core  *core
	among *batch
	req   *fleet.Request
	hash  string
	name  *name // that is to be unique; nil where it need not be
	// refused are the hosts that were asked in vain, with what they said;
	// passed are the same hosts, as placement wants them.
	refused map[fleet.HostID]fleet.Verdict
	passed  map[fleet.HostID]bool
	// over is the error of a quota that has no room for the instance: no host is
	// chosen for it, but what an earlier request with its key has made is the answer.
	over error
	// lost is the last attempt under which the anchor of the request's group was
	// found to be none any more.
	lost uint32
}

// unkeyed places an instance whose id only this request knows. So a proposal
// that was surely not sent may be made elsewhere at once; one that may have
// arrived may not.
func (p *placing) unkeyed(ctx context.Context) (fleet.Accepted, error) {
	for attempt := uint32(1); attempt <= maxAttempts; attempt++ {
		host, ok, err := p.next(ctx)
		if err != nil {
			return fleet.Accepted{}, err
		}
		if !ok {
			break
		}
		accepted, err := p.propose(ctx, host, attempt)
		if err == nil {
			return accepted, nil
		}
		if !isRefused(err) && !isNotSent(err) {
			return fleet.Accepted{}, err
		}
		p.pass(ctx, host, err)
	}
	return fleet.Accepted{}, p.nothingFits()
}

// next returns the host to ask, of those not asked yet.
func (p *placing) next(ctx context.Context) (host fleet.HostID, ok bool, err error) {
	ctx, span := tracing.Start(ctx, "choose host")
	defer func() {
		if ok {
			p.core.onHost(span, host)
		}
		span.End(err)
	}()
	if p.over != nil {
		return fleet.HostID{}, false, nil
	}
	if err := p.anchored(ctx, p.lost); err != nil {
		return fleet.HostID{}, false, err
	}
	host, ok = p.among.pick(p.core, p.req, p.passed)
	if !ok {
		host, ok = p.anchorToAsk()
	}
	return host, ok, nil
}

// notSentError is a proposal that the host has surely not judged: it could not
// be reached, or said that it is not ready to judge.
type notSentError struct{ err error }

// Error implements error.
func (e *notSentError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *notSentError) Unwrap() error { return e.err }

func isNotSent(err error) bool {
	var e *notSentError
	return errors.As(err, &e)
}

func isRefused(err error) bool { return fleet.CodeOf(err) == fleet.CodeRefused }

// propose asks one host. Its error is a refusal (isRefused), a proposal that
// was not judged (isNotSent), an unknown outcome, or one to give to the client
// as it is.
func (p *placing) propose(ctx context.Context, host fleet.HostID, attempt uint32) (accepted fleet.Accepted, err error) {
	ctx, span := tracing.Start(ctx, "propose")
	p.core.onHost(span, host)
	span.Number("grapevine.attempt", int64(attempt))
	defer func() { span.End(err) }()
	peer, err := p.core.Peer(host)
	if err != nil {
		return fleet.Accepted{}, &notSentError{err}
	}
	if p.name != nil {
		if err := p.name.hold(ctx, host, attempt); err != nil {
			return fleet.Accepted{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, p.core.timeout)
	defer cancel()
	accepted, err = peer.Claim(ctx, fleet.Proposal{Request: *p.req, RequestHash: p.hash, Attempt: attempt})
	p.core.metrics.proposed(err)
	switch {
	case err == nil:
		return accepted, nil
	case errors.Is(err, client.ErrUnreachable), fleet.CodeOf(err) == fleet.CodeNotReady:
		return fleet.Accepted{}, &notSentError{err}
	case errors.Is(err, client.ErrOutcomeUnknown):
		return fleet.Accepted{}, outcomeUnknown(p.core.HostName(host), p.req.ID, err)
	default:
		return fleet.Accepted{}, err
	}
}

// pass notes why a host was asked in vain. A refusal brings the host's fresh
// row, on which the next picks rest.
func (p *placing) pass(ctx context.Context, host fleet.HostID, err error) {
	p.passed[host] = true
	if attempt, only := p.anchorLost(err); attempt > 0 {
		p.lost = attempt
		if only {
			delete(p.passed, host)
			return
		}
	}
	verdict := fleet.Verdict{Host: host, HostName: p.core.HostName(host)}
	var e *fleet.Error
	if errors.As(err, &e) && e.Code == fleet.CodeRefused {
		verdict.Refusals = e.Refusals
		if e.Host != nil {
			p.core.Merge(*e.Host)
		}
	} else {
		verdict.Refusals = []fleet.Refusal{{Code: fleet.RefuseUnreachable, Detail: fmt.Sprintf("it could not be asked: %v", err)}}
	}
	p.refused[host] = verdict
	p.core.log.InfoContext(ctx, "proposal was not taken", "instance", p.req.ID.String(), "host", verdict.HostName, "reason", verdict.String())
}

// nothingFits is the error when there is no host left to ask: it names every
// host with what it lacked.
func (p *placing) nothingFits() error {
	if p.over != nil {
		return p.over
	}
	what := fmt.Sprintf("no host takes instance %q (%d vCPUs, %d MiB of memory, %d GiB of disk)", p.req.Name, p.req.VCPUs, p.req.MemoryMiB, p.req.DiskGiB)
	if len(p.refused) >= maxAttempts {
		what = fmt.Sprintf("%d hosts in a row refused instance %q, and no more were asked; try again", len(p.refused), p.req.Name)
	}
	return refusal(what, p.core.Verdicts(p.req, p.refused))
}
