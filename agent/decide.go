package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"grapevine/agent/records"
	"grapevine/api"
	"grapevine/fleet"
)

const (
	// holdWithin is how long one agent may take to journal a record, holdAllWithin
	// how long all that are asked may take together.
	holdWithin    = 3 * time.Second
	holdAllWithin = 10 * time.Second
)

// DecideHost implements api.Writer: somebody's word about a host that the fleet
// cannot hear becomes a record. It answers once enough agents hold it.
func (a *Agent) DecideHost(ctx context.Context, id fleet.HostID, kind fleet.RecordKind, ask fleet.Decide, who api.Principal) (fleet.Decided, error) {
	if err := a.settled(); err != nil {
		return fleet.Decided{}, err
	}
	by, err := wordOf(ask.By, who)
	if err != nil {
		return fleet.Decided{}, err
	}
	if kind == fleet.RevokeHost {
		return a.revokeHost(ctx, id, by, ask)
	}
	subject, err := a.Deciding(id)
	if err != nil {
		return fleet.Decided{}, err
	}
	for _, r := range a.covering(id, subject.Version.Epoch) {
		if r.Kind == kind || r.Kind == fleet.Forget {
			return a.hold(ctx, r) // it is said already: the same request, sent again
		}
	}
	if id == a.hostID || a.Heard(id) {
		return fleet.Decided{}, errorf(fleet.CodeConflict,
			"host %s can be heard, so it is neither dead nor gone; stop its agent first, and wait until it is unreachable", subject.Name)
	}
	r := fleet.Record{Kind: kind, Subject: id, Name: subject.Name, Covers: subject.Version}
	return a.accept(ctx, r, by, ask.Reason)
}

// revokeHost has a node's certificates refused that it has up to now. One that is
// not known may be meant: its certificate was stolen before it was used.
func (a *Agent) revokeHost(ctx context.Context, id fleet.UUID, by string, ask fleet.Decide) (fleet.Decided, error) {
	if id == a.hostID {
		return fleet.Decided{}, errorf(fleet.CodeConflict, "this is the agent of host %s (%s) itself, and nobody takes a word from it once it is revoked; ask another agent, or a registry", a.name(), id)
	}
	at := ask.At
	if at.IsZero() {
		at = time.Now()
	}
	r := fleet.Record{Kind: fleet.RevokeHost, Subject: id, Name: a.HostName(id), CreatedAt: at.UTC().Truncate(time.Millisecond)}
	return a.accept(ctx, r, by, ask.Reason)
}

// accept makes a record and has it held.
func (a *Agent) accept(ctx context.Context, r fleet.Record, by, why string) (fleet.Decided, error) {
	r.By, r.Why, r.Acceptor = by, why, a.hostID
	r.AcceptedAt = time.Now().UTC().Truncate(time.Millisecond) // what the wire carries
	r.ID = fleet.NameRecord(&r)
	return a.hold(ctx, r)
}

// wordOf says whose word a request is. A registry passes on the word of others.
func wordOf(passedOn string, who api.Principal) (string, error) {
	by := who.Word()
	switch {
	case passedOn == "":
	case who.Role == api.AsRegistry:
		by = fmt.Sprintf("%s, by way of %s", passedOn, by)
	default:
		return "", errorf(fleet.CodeInvalid, "by says for whom a registry asks; leave it out")
	}
	if len(by) > fleet.MaxRecordNameBytes {
		by = by[:fleet.MaxRecordNameBytes]
	}
	return strings.ToValidUTF8(by, ""), nil
}

// hold has a record journalled here, and at others until enough have it. That it
// is in force as soon as one agent holds it is no harm: whoever asked wanted that.
func (a *Agent) hold(ctx context.Context, r fleet.Record) (fleet.Decided, error) {
	r, err := a.PutRecord(ctx, r)
	if err != nil {
		return fleet.Decided{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, holdAllWithin)
	defer cancel()
	peers := a.holdersToBe(&r)
	needed := records.Needed(1 + len(peers))
	held, refused := a.bearers(r.ID), error(nil)
	candidates := slices.DeleteFunc(slices.Clone(peers), func(host fleet.HostID) bool { return slices.Contains(held, host) || !a.Heard(host) })
	for len(held) < needed && len(candidates) > 0 {
		wave := candidates[:min(needed-len(held), len(candidates))]
		candidates = candidates[len(wave):]
		took, err := a.holdAt(ctx, wave, &r)
		held, refused = append(held, took...), errors.Join(refused, err)
	}
	slices.SortFunc(held, fleet.UUID.Compare)
	if len(held) < needed {
		return fleet.Decided{}, tooFew(&r, len(held), needed, refused)
	}
	return fleet.Decided{Record: r, Holders: held}, nil
}

func tooFew(r *fleet.Record, held, needed int, why error) error {
	detail := fmt.Sprintf("the record (%s of %s) is in force and held by %d of the %d agents that have to hold it before it is sure to outlast a lost disk; "+
		"the same request may be sent again when more agents can be reached, and makes no second record", r.Kind, r.Name, held, needed)
	if why != nil {
		detail += fmt.Sprintf(" (%v)", why)
	}
	return &fleet.Error{Code: fleet.CodeTooFewHolders, Detail: detail}
}

// holdersToBe returns the other agents that may hold a record, each record's in
// an order of its own: those that count for how many are needed. A host that
// somebody gave up, or that left, is none of them.
func (a *Agent) holdersToBe(r *fleet.Record) []fleet.HostID {
	hosts, err := a.Hosts(context.Background())
	if err != nil {
		return nil
	}
	var out []fleet.HostID
	for i := range hosts.Items {
		h := &hosts.Items[i]
		if h.ID != a.hostID && h.ID != r.Covers.Host && h.ID != r.Subject && h.DeclaredDead == nil && h.Reachability != fleet.ReachLeft {
			out = append(out, h.ID)
		}
	}
	return fleet.RankedFor(r.ID, out)
}

// holdAt asks several agents at once to hold a record, and returns those that
// do.
func (a *Agent) holdAt(ctx context.Context, hosts []fleet.HostID, r *fleet.Record) ([]fleet.HostID, error) {
	errs := make([]error, len(hosts))
	var asked sync.WaitGroup
	for i, host := range hosts {
		asked.Go(func() { errs[i] = a.putAt(ctx, host, r) })
	}
	asked.Wait()
	var took []fleet.HostID
	for i, host := range hosts {
		if errs[i] == nil {
			took = append(took, host)
		} else {
			errs[i] = fmt.Errorf("host %s: %w", a.HostName(host), errs[i])
		}
	}
	return took, errors.Join(errs...)
}

func (a *Agent) putAt(ctx context.Context, host fleet.HostID, r *fleet.Record) error {
	peer, err := a.Peer(host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, holdWithin)
	defer cancel()
	_, err = peer.PutRecord(ctx, *r)
	return err
}
