package view

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/atonce"
)

const (
	// askWithin is how long one of many nodes may take to answer, and
	// askAllWithin how long all of them may take together.
	askWithin    = 3 * time.Second
	askAllWithin = 10 * time.Second
)

// answer is what one of many nodes said.
type answer[T any] struct {
	member fleet.Member
	said   T
	err    error
	at     time.Time // when it came
}

// askAll puts a question to members, fleet.MaxAskedAtOnce of them at a time,
// and blocks until each has answered or had its time. The answers are in the
// order of the members.
func askAll[T any](ctx context.Context, v *View, members []fleet.Member, ask func(context.Context, *client.Client) (T, error)) []answer[T] {
	ctx, cancel := context.WithTimeout(ctx, askAllWithin)
	defer cancel()
	if len(members) > fleet.MaxAskedAtOnce {
		ask = once(ask)
	}
	answers := make([]answer[T], len(members))
	atonce.Each(len(members), fleet.MaxAskedAtOnce, func(i int) {
		said, err := askOne(ctx, v, &members[i], ask)
		answers[i] = answer[T]{members[i], said, err, v.cfg.Now()}
	})
	return answers
}

// once asks and keeps no idle connection: of thousands, each would hold tens of
// kilobytes for a minute and a half.
func once[T any](ask func(context.Context, *client.Client) (T, error)) func(context.Context, *client.Client) (T, error) {
	return func(ctx context.Context, peer *client.Client) (T, error) {
		defer peer.Close()
		return ask(ctx, peer)
	}
}

func askOne[T any](ctx context.Context, v *View, m *fleet.Member, ask func(context.Context, *client.Client) (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, fmt.Errorf("it was not asked: time was up: %w", ctx.Err())
	}
	peer, err := v.cfg.Peers.At(m.API, m.ID)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return ask(ctx, peer)
}

// others returns the members that can be asked: alive, and not this node.
func (v *View) others(members []fleet.Member) []fleet.Member {
	return slices.DeleteFunc(slices.Clone(members), func(m fleet.Member) bool {
		return m.ID == v.cfg.Self || m.Status != fleet.MemberAlive || m.API == ""
	})
}

// memberNamed returns the member that a person means: by id, by a name that
// only one has, or by the address of its API or gossip. Empty means this node.
func (v *View) memberNamed(ctx context.Context, ref string) (fleet.Member, error) {
	list, err := v.Members(ctx)
	if err != nil {
		return fleet.Member{}, err
	}
	var found []fleet.Member
	for _, m := range list.Items {
		switch {
		case ref == "" && m.ID == v.cfg.Self, ref != "" && m.ID.String() == strings.ToLower(ref):
			return m, nil
		case ref != "" && (m.Name == ref || m.API == ref || m.Gossip == ref):
			found = append(found, m)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case ref == "":
		return fleet.Member{ID: v.cfg.Self, Name: v.HostName(v.cfg.Self), Status: fleet.MemberAlive}, nil
	case len(found) == 0:
		return fleet.Member{}, &fleet.Error{
			Code:   fleet.CodeNotFound,
			Detail: fmt.Sprintf("no member of the mesh has the name, id or address %.80q; list them with: grapevine mesh members", ref),
		}
	}
	e := &fleet.Error{Code: fleet.CodeAmbiguous, Detail: fmt.Sprintf("%.80q may mean any of %d members; give the id of one", ref, len(found))}
	for _, m := range found {
		e.Candidates = append(e.Candidates, m.ID.String())
	}
	return fleet.Member{}, e
}

// Self returns this node as the member that it is.
func (v *View) Self(ctx context.Context) (fleet.Member, error) { return v.memberNamed(ctx, "") }
