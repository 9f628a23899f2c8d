// Package ask puts the questions of package grants to the witnesses, for
// registries and agents.
package ask

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/grants"
	"grapevine/internal/pause"
	"grapevine/internal/tracing"
)

// Witness is one witness: a client of its API, or an agent itself.
type Witness interface {
	Grant(ctx context.Context, ask fleet.GrantAsk) (fleet.GrantAnswer, error)
	TellWitness(ctx context.Context, update fleet.WitnessUpdate) (fleet.WitnessState, error)
}

// Asker asks witnesses. It may be used from several goroutines at once.
type Asker struct {
	// Witness returns the witness on a host, or why it cannot be asked.
	Witness func(fleet.HostID) (Witness, error)
	// Name is what people call a host.
	Name func(fleet.HostID) string

	mu    sync.Mutex
	set   fleet.WitnessSet // the newest that a witness has told of
	floor uint64           // the highest that a witness has told of
}

const (
	// firstAsked are asked at once: they suffice where all goes well. The others
	// are asked after hedgeAfter, or as soon as one of the first fails.
	firstAsked = fleet.Witnesses/2 + 1
	hedgeAfter = 300 * time.Millisecond
)

// Newest returns the newer of two sets: the one that the caller has heard of and
// the one that a witness told this asker of.
func (a *Asker) Newest(heard fleet.WitnessSet) fleet.WitnessSet {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set.Number > heard.Number {
		return a.set
	}
	return heard
}

func (a *Asker) learn(set fleet.WitnessSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if set.Number > a.set.Number {
		a.set = set
	}
}

// NewToken draws who one request is.
func NewToken() fleet.UUID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: see crypto/rand
	return fleet.NewUUIDv4(random)
}

// Change does a compare-and-set on a key and returns what it then holds. Without
// a majority of the witnesses the error is CodeNoWitnesses; the change may then
// still come to be, by somebody else's round, and the caller must not act on it.
func (a *Asker) Change(ctx context.Context, set fleet.WitnessSet, key fleet.UUID, change fleet.GrantChange) (outcome grants.Outcome, err error) {
	ctx, span := tracing.Start(ctx, "grant")
	rounds := int64(0)
	defer func() {
		span.Number("grapevine.rounds", rounds)
		span.End(err)
	}()
	ctx, cancel := context.WithTimeout(ctx, fleet.GrantRound)
	defer cancel()
	asker, number := NewToken(), uint64(0)
	for tried := 0; ; tried++ {
		if set = a.Newest(set); set.IsZero() {
			return grants.Outcome{}, &fleet.Error{Code: fleet.CodeNoWitnesses, Detail: "no witness set is known here"}
		}
		number = a.above(number)
		t := &try{
			Asker: a, set: set,
			round: grants.Begin(set, key, fleet.Ballot{Round: number, Asker: asker}, change, time.Now()),
		}
		rounds++
		outcome, done, err := t.run(ctx)
		switch {
		case err != nil || done:
			return outcome, err
		case tried == grants.MaxRounds:
			return grants.Outcome{}, &fleet.Error{Code: fleet.CodeBusy, Detail: "others ask for the same key at the same time; try again"}
		}
		number = max(number, t.outbid)
		if !pause.For(ctx, grants.Pause(tried, mathrand.Int64N)) {
			return grants.Outcome{}, t.none(ctx.Err())
		}
	}
}

// above is a round that no witness has forgotten.
func (a *Asker) above(number uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(number, a.floor) + 1
}

func (a *Asker) raise(floor uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.floor = max(a.floor, floor)
}

// try is one round on its way.
type try struct {
	*Asker
	set    fleet.WitnessSet
	round  *grants.Round
	outbid uint64 // the highest round that stood in the way
	faults map[fleet.HostID]error
}

// reply is what became of one question.
type reply struct {
	from   fleet.HostID
	ask    fleet.GrantAsk
	answer fleet.GrantAnswer
	err    error
}

// run asks until the round is over. Done is false where another is to be begun.
func (t *try) run(ctx context.Context) (outcome grants.Outcome, done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for {
		verdict, outcome := t.phase(ctx, &asking)
		switch verdict {
		case grants.Proceed:
		case grants.Decided:
			return outcome, true, nil
		case grants.Outbid, grants.Outdated:
			return outcome, false, nil
		default:
			return outcome, false, t.none(ctx.Err())
		}
	}
}

// phase puts the question of the present phase and hears the answers, until the
// round goes on or there is nobody left who could answer.
func (t *try) phase(ctx context.Context, asking *sync.WaitGroup) (grants.Verdict, grants.Outcome) {
	ask, of := t.round.Ask(), t.order()
	replies := make(chan reply, len(of))
	t.faults = map[fleet.HostID]error{}
	put, answered := 0, 0
	more := func(n int) {
		for ; n > 0 && put < len(of); n-- {
			id := of[put]
			put++
			asking.Go(func() { replies <- t.put(ctx, id, ask) })
		}
	}
	more(firstAsked)
	if t.set.Changing() {
		more(len(of))
	}
	hedge := time.NewTimer(hedgeAfter)
	defer hedge.Stop()
	for answered < put {
		select {
		case <-ctx.Done():
			return grants.Late, grants.Outcome{}
		case <-hedge.C:
			more(len(of))
		case r := <-replies:
			answered++
			if r.err != nil {
				t.faults[r.from] = r.err
				more(1)
				continue
			}
			if verdict, outcome := t.hear(ctx, r); verdict != grants.Waiting {
				return verdict, outcome
			}
		}
	}
	return grants.Waiting, grants.Outcome{}
}

// order is whom to ask first: by the key, so that all who ask for it meet early,
// and the witnesses share the keys.
func (t *try) order() []fleet.HostID {
	rest := t.round.Of()
	out := make([]fleet.HostID, 0, len(rest))
	for len(rest) > 0 {
		first, _ := fleet.HomeOf(t.round.Ask().Key, rest)
		out = append(out, first)
		kept := rest[:0]
		for _, id := range rest {
			if id != first {
				kept = append(kept, id)
			}
		}
		rest = kept
	}
	return out
}

func (t *try) put(ctx context.Context, id fleet.HostID, ask fleet.GrantAsk) reply {
	peer, err := t.Witness(id)
	if err != nil {
		return reply{from: id, ask: ask, err: err}
	}
	answer, err := peer.Grant(ctx, ask)
	return reply{id, ask, answer, err}
}

// hear judges an answer. A witness that goes by an older set is told the newer
// one; the round begins anew.
func (t *try) hear(ctx context.Context, r reply) (grants.Verdict, grants.Outcome) {
	t.raise(r.answer.Floor)
	verdict, outcome := t.round.Hear(r.from, r.ask, r.answer, time.Now())
	switch {
	case verdict == grants.Outbid:
		t.outbid = max(t.outbid, r.answer.Promised.Round)
	case verdict == grants.Outdated && r.answer.Set.Number > t.set.Number:
		t.learn(*r.answer.Set)
	case verdict == grants.Outdated:
		t.tell(ctx, r.from)
	}
	return verdict, outcome
}

func (t *try) tell(ctx context.Context, id fleet.HostID) {
	if peer, err := t.Witness(id); err == nil {
		_, _ = peer.TellWitness(ctx, fleet.WitnessUpdate{Set: t.set}) // it is told again with the next question
	}
}

// none is the error of a round that too few answered.
func (t *try) none(why error) error {
	var reasons []string
	for id, err := range t.faults {
		reasons = append(reasons, fmt.Sprintf("%s: %v", t.Name(id), err))
	}
	if why != nil && !errors.Is(why, context.Canceled) {
		reasons = append(reasons, "the others gave no answer in time")
	}
	members := t.set.All()
	return &fleet.Error{
		Code: fleet.CodeNoWitnesses,
		Detail: fmt.Sprintf("%d of the %d witnesses answered, and a majority is needed (of the old and of the new ones while the set changes); nobody else decides, so nothing was done: try again later. %s",
			t.round.Heard(), len(members), strings.Join(reasons, ". ")),
	}
}
