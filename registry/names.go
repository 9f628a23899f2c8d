package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/internal/pause"
)

// A name that is to be unique in its project is a key of its own, whose record
// says which instance has it and which host that is proposed to. The rules:
//
//  1. An instance is proposed to a host only by a request that has stored just
//     that in the name's record, by compare-and-set, before. So what has the name
//     is at the record's host or nowhere, and every move of a create to another
//     host (see keyed.go) passes through the record.
//  2. The record says under which attempt of the instance that was. A request
//     that finds a later one is of the past, and stops.
//  3. Somebody else gets the name when the instance cannot come any more: the
//     host has said that it is not there and that it refuses, durably, every
//     attempt up to the record's; or an operator gave the host up. The record is
//     then marked as given back, and the name taken in a second step. A request
//     of the first instance that goes on meanwhile fails by 1.
//  4. Where an instance is moved its new host stores itself in the record, once it
//     owns the instance; until then the host that it left says that it is there.
//  5. While the host cannot be asked, or nobody decides about the key, the name
//     stays.

// AllProjects in unique_names stands for every project.
const AllProjects = "*"

// unique reports whether this registry gives a project's names once each.
func (c *core) unique(project string) bool {
	return slices.Contains(c.uniqueNames, AllProjects) || slices.Contains(c.uniqueNames, project)
}

// name is one instance's claim to its name, as one request sees it.
type name struct {
	decider
	key           fleet.UUID
	project, name string
	record        fleet.KeyRecord // what is held, as far as is known
	held          bool            // by this request's own record
	looked        bool            // whether others show the name
}

// newName begins to ask for a name.
func (c *core) newName(project, label string, id fleet.InstanceID) (*name, error) {
	n := &name{key: fleet.NameKey(project, label), project: project, name: label}
	decider, ok, err := c.deciderOf(n.key, id)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, &fleet.Error{Code: fleet.CodeRefused, Detail: "no host is known that could keep a unique name; start an agent, or look at: grapevine mesh members"}
	}
	n.decider = decider
	return n, nil
}

// maxClaimed bounds how often one request asks for a name that others change
// meanwhile; grace is how long an instance has to appear of which its host knows
// nothing, before it is refused there.
const (
	maxClaimed = 8
	grace      = time.Second
)

// hold has it in the name's record that the instance is proposed to a host under
// an attempt. The error is name_taken where another instance has the name.
func (n *name) hold(ctx context.Context, host fleet.HostID, attempt uint32) error {
	if err := n.look(ctx); err != nil {
		return err
	}
	n.held = false
	for tried := range maxClaimed {
		if tried > 0 && !pause.For(ctx, rand.N(firstPause<<tried)) {
			return ctx.Err()
		}
		held := &n.record
		switch {
		case held.Attempt == 0, held.Released:
		case held.Instance != n.instance:
			if err := n.free(ctx); err != nil {
				return err
			}
			if !n.record.Released {
				continue
			}
		case held.Proposed > attempt:
			return &fleet.Error{Code: fleet.CodeBusy, Instance: n.instance, Detail: "another request for the same instance has gone on; send this one again"}
		}
		want := fleet.KeyRecord{Kind: fleet.GrantName, Instance: n.instance, Host: host, Proposed: attempt}
		if err := n.store(ctx, want); err != nil {
			return err
		}
		if n.held {
			return nil
		}
	}
	return &fleet.Error{Code: fleet.CodeBusy, Instance: n.instance, Detail: fmt.Sprintf("many requests for the name %q are under way; send this one again", n.name)}
}

// store does a compare-and-set on what is known to be held, and notes what then
// is held.
func (n *name) store(ctx context.Context, want fleet.KeyRecord) error {
	answer, err := n.swap(ctx, n.key, n.record.Attempt, want)
	if err != nil && fleet.CodeOf(err) != fleet.CodeNotFound {
		return err
	}
	n.record, n.held = answer.Record, answer.Stored // nothing where what was known has expired
	return nil
}

// free has the record's instance give the name back, if that cannot come any
// more. Without an error the record is to be looked at again.
func (n *name) free(ctx context.Context) error {
	held := n.record
	if _, given := n.core.Given(held.Host); given {
		if at, shown := n.shownAt(held.Instance); shown {
			return n.taken(held.Instance, at)
		}
		return n.giveBack(ctx)
	}
	answer, err := n.withdraw(ctx, held.Host, held.Instance, fleet.Withdraw{Attempt: held.Proposed})
	if err == nil && !answer.There && !answer.Refused {
		// It may be on its way: who stored the record proposes it at once.
		if !pause.For(ctx, grace/2+rand.N(grace/2)) {
			return ctx.Err()
		}
		if err := n.find(ctx); err != nil || n.record != held {
			return err
		}
		answer, err = n.withdraw(ctx, held.Host, held.Instance, fleet.Withdraw{Attempt: held.Proposed, Surely: true})
	}
	at, shown := n.shownAt(held.Instance)
	switch {
	case err != nil && !shown:
		return n.unknown(&held, err)
	case err != nil, answer.There:
		return n.taken(held.Instance, at)
	default:
		return n.giveBack(ctx)
	}
}

// giveBack marks the record as given back, if it is still as it is known. It is
// nobody's then, also not of who had it.
func (n *name) giveBack(ctx context.Context) error {
	back := n.record
	back.Released = true
	err := n.store(ctx, back)
	n.held = false
	return err
}

// drop gives the name back that this request has asked for in vain.
func (n *name) drop(ctx context.Context) {
	if !n.held {
		return
	}
	if err := n.giveBack(ctx); err != nil {
		n.core.log.Info("a name that was not needed is given back when it is asked for", "name", n.name, "project", n.project, "error", err)
	}
}

func (n *name) find(ctx context.Context) (err error) {
	n.record, err = n.heldOf(ctx, n.key)
	return err
}

// withdraw asks a host about an instance that was given to it.
func (n *name) withdraw(ctx context.Context, host fleet.HostID, id fleet.InstanceID, ask fleet.Withdraw) (fleet.Withdrawn, error) {
	peer, err := n.core.Peer(host)
	if err != nil {
		return fleet.Withdrawn{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, n.core.timeout)
	defer cancel()
	return peer.Withdraw(ctx, id, ask)
}

// look finds instances of this name that never asked for it: made before their
// project wanted its names to be unique, or at an agent. Their hosts are asked,
// because what is shown may be of the past.
func (n *name) look(ctx context.Context) error {
	if n.looked {
		return nil
	}
	page, err := n.core.Instances(ctx, fleet.InstanceQuery{Project: n.project, Name: n.name})
	if err != nil {
		return err
	}
	for _, row := range page.Items {
		if row.ID == n.instance || row.Ownership != fleet.Managed || row.HostDeclaredDead || !row.SupersededBy.IsZero() {
			continue
		}
		answer, err := n.withdraw(ctx, row.Host, row.ID, fleet.Withdraw{})
		if err != nil || answer.There {
			return n.taken(row.ID, row.HostName)
		}
	}
	n.looked = true
	return nil
}

// shownAt returns the name of a host that shows an instance and was not given up.
func (n *name) shownAt(id fleet.InstanceID) (host string, shown bool) {
	row, err := n.core.Instance(context.Background(), id)
	if err != nil || row.HostDeclaredDead {
		return "", false
	}
	return row.HostName, true
}

// taken is the error of a name that another instance has.
func (n *name) taken(by fleet.InstanceID, host string) error {
	where := ""
	if host != "" {
		where = " on host " + host
	}
	return &fleet.Error{
		Code: fleet.CodeNameTaken, Instance: by,
		Detail: fmt.Sprintf("the name %q is unique in project %q, and instance %s%s has it; take another name, or delete that instance", n.name, n.project, by, where),
	}
}

// unknown is the error of a name whose holder may be on a host that cannot be
// asked.
func (n *name) unknown(held *fleet.KeyRecord, err error) error {
	return &fleet.Error{
		Code: fleet.CodeKeyHomeUnreachable, Instance: held.Instance,
		Detail: fmt.Sprintf("the name %q was given to instance %s on host %s, which cannot be asked whether it has it; send the request again when the host is back, or take another name (%v)", n.name, held.Instance, n.core.HostName(held.Host), err),
	}
}
