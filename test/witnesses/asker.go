package witnesses

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/grants"
)

// asker is a registry, or an agent, that asks witnesses.
type asker struct {
	w      *world
	index  int // among those between whom messages go, after the hosts
	clock  clock
	set    fleet.WitnessSet // as it knows it
	floor  uint64
	halted time.Duration // until when its process stands still
}

func newAsker(w *world, i int, set fleet.WitnessSet) *asker {
	return &asker{w: w, index: hosts + i, clock: w.clock(), set: set}
}

// awake runs do now, or as soon as the process is let go on.
func (a *asker) awake(do func()) {
	if a.halted > a.w.now {
		a.w.after(a.halted-a.w.now, func() { a.awake(do) })
		return
	}
	do()
}

// request is one change of one key, tried in rounds until one has an outcome.
type request struct {
	by     *asker
	key    fleet.UUID
	token  fleet.UUID
	change fleet.GrantChange
	then   func(outcome grants.Outcome, ok bool)

	number uint64 // of the round
	tries  int
	round  *grants.Round
	began  time.Time     // the round, by the asker's clock
	from   time.Duration // the round, by the world's
	over   bool
}

const maxTries = 12

// ask has a key changed; then is called at most once.
func (a *asker) ask(key fleet.UUID, change fleet.GrantChange, then func(grants.Outcome, bool)) {
	q := &request{by: a, key: key, token: a.w.uuid(), change: change, then: then}
	if change.Grant != nil {
		q.token = change.Grant.Token
	}
	q.begin()
}

func (q *request) begin() {
	if q.tries++; q.tries > maxTries {
		q.over = true
		q.by.w.count.gaveUp++
		q.then(grants.Outcome{}, false)
		return
	}
	q.number = max(q.number, q.by.floor) + 1
	q.began, q.from = q.by.clock.now(), q.by.w.now
	q.round = grants.Begin(q.by.w.fault.set(q.by.set), q.key, fleet.Ballot{Round: q.number, Asker: q.token}, q.change, q.began)
	if q.by.w.fault == skipsPromises {
		for _, id := range q.round.Of() {
			q.round.Hear(id, q.round.Ask(), fleet.GrantAnswer{OK: true}, q.began)
		}
	}
	q.send()
	round := q.round
	q.by.clock.after(fleet.GrantRound, func() { q.by.awake(func() { q.again(round) }) })
}

// again begins another round where this one is still waited for.
func (q *request) again(round *grants.Round) {
	if q.over || q.round != round {
		return
	}
	q.round = nil
	q.by.clock.after(q.by.w.upTo(200*time.Millisecond<<min(q.tries, 6)), func() { q.by.awake(q.begin) })
}

// send asks those of the present phase: three at first, or all.
func (q *request) send() {
	round, ask, of := q.round, q.round.Ask(), slices.Clone(q.round.Of())
	w := q.by.w
	w.rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	for i, id := range of {
		go3 := func() {
			if q.round == round && !q.over {
				q.to(w.node(id), ask)
			}
		}
		if i < 3 || w.chance(0.5) {
			go3()
		} else {
			q.by.clock.after(time.Second, go3)
		}
	}
}

func (q *request) to(n *node, ask fleet.GrantAsk) {
	w, round := q.by.w, q.round
	w.send(q.by.index, n.index, func() {
		answer, ok := n.answer(ask)
		if !ok {
			return
		}
		w.send(n.index, q.by.index, func() {
			q.by.awake(func() { q.hear(round, n, ask, answer) })
		})
	})
}

func (q *request) hear(round *grants.Round, n *node, ask fleet.GrantAsk, answer fleet.GrantAnswer) {
	if q.over || q.round != round {
		return
	}
	q.by.floor = max(q.by.floor, answer.Floor)
	switch verdict, outcome := q.by.w.fault.hear(q, n.id, ask, answer); verdict {
	case grants.Proceed:
		q.send()
	case grants.Decided:
		q.over = true
		q.by.w.checks.decided(q, outcome)
		q.then(outcome, true)
	case grants.Outbid:
		q.number = max(q.number, answer.Promised.Round)
		q.again(round)
	case grants.Outdated:
		q.by.learn(*answer.Set)
		q.by.push(n)
		q.again(round)
	case grants.Late:
		q.again(round)
	case grants.Waiting:
	}
}

// learn takes a newer set over.
func (a *asker) learn(set fleet.WitnessSet) {
	if set.Number > a.set.Number {
		a.set = set
	}
}

// push tells a host which set there is.
func (a *asker) push(n *node) {
	set := a.set
	a.w.send(a.index, n.index, func() {
		if n.up {
			n.adopt(fleet.WitnessUpdate{Set: set})
		}
	})
}
