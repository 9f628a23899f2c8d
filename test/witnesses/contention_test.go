package witnesses

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/grants"
)

// crowd is many who ask for one key at the same moment, each for an instance of
// its own, at five witnesses that all answer within some milliseconds.
type crowd struct {
	w                 *world
	set               fleet.WitnessSet
	key               fleet.UUID
	blind             bool // to what a refusal shows, as all were before
	questions, rounds int
	gaveUp            int
	last              time.Duration // when the last knew
	holders           map[fleet.InstanceID]int
}

// member is one of the crowd.
type member struct {
	*crowd
	id     fleet.UUID
	round  *grants.Round
	tried  int
	number uint64
	change fleet.GrantChange
}

func gather(seed uint64, askers int, blind bool) *crowd {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), cut: map[[2]int]bool{}}
	w.checks = newChecks(w)
	c := &crowd{w: w, key: fleet.NameKey("p", "a"), blind: blind, set: fleet.WitnessSet{Number: 1}, holders: map[fleet.InstanceID]int{}}
	for i := range fleet.Witnesses {
		n := newNode(w, i)
		w.nodes, c.set.Members = append(w.nodes, n), append(c.set.Members, n.id)
	}
	for _, n := range w.nodes {
		n.adopt(fleet.WitnessUpdate{Set: c.set, Found: true})
	}
	for range askers {
		m := &member{crowd: c, id: w.uuid()}
		m.change = fleet.GrantChange{Grant: &fleet.Grant{
			KeyRecord: fleet.KeyRecord{Kind: fleet.GrantName, Instance: m.id, Attempt: 1}, Token: m.id,
		}}
		w.after(w.upTo(5*time.Millisecond), m.begin)
	}
	return c
}

func (m *member) begin() {
	m.number++
	m.rounds++
	m.round = grants.Begin(m.set, m.key, fleet.Ballot{Round: m.number, Asker: m.id}, m.change, epoch.Add(m.w.now))
	m.put()
}

// put asks the three that come first for the key, as grants/ask does.
func (m *member) put() {
	round, ask := m.round, m.round.Ask()
	for _, id := range fleet.RankedFor(m.key, m.round.Of())[:fleet.Witnesses/2+1] {
		m.questions++
		m.w.after(m.delay(), func() {
			answer, _ := m.w.node(id).answer(ask)
			m.w.after(m.delay(), func() {
				if m.round == round {
					m.hear(id, ask, answer)
				}
			})
		})
	}
}

func (c *crowd) delay() time.Duration { return time.Millisecond/2 + c.w.upTo(5*time.Millisecond) }

func (m *member) hear(from fleet.HostID, ask fleet.GrantAsk, answer fleet.GrantAnswer) {
	promised := answer.Promised.Round
	if m.blind && !answer.OK {
		answer.Accepted, answer.Grant = fleet.Ballot{}, nil
	}
	switch verdict, outcome := m.round.Hear(from, ask, answer, epoch.Add(m.w.now)); verdict {
	case grants.Proceed:
		m.put()
	case grants.Decided:
		m.round = nil
		m.holders[outcome.Grant.Instance]++
		m.last = m.w.now
	case grants.Outbid:
		m.round, m.number = nil, max(m.number, promised)
		if m.tried++; m.tried > grants.MaxRounds {
			m.gaveUp++
			return
		}
		m.w.after(grants.Pause(m.tried-1, m.w.rng.Int64N), m.begin)
	default:
	}
}

// TestManyWhoAskForOneKeyAreAnswered: all of a crowd learn who has the key, and
// that it can be read of refusals costs fewer questions.
func TestManyWhoAskForOneKeyAreAnswered(t *testing.T) {
	const seeds = 20
	sizes := []int{2, 8, 32}
	if os.Getenv("GRAPEVINE_PROOFS") == "long" {
		sizes = append(sizes, 128)
	}
	for _, askers := range sizes {
		asked := map[bool]int{}
		for _, blind := range []bool{true, false} {
			var sum crowd
			for seed := range uint64(seeds) {
				c := gather(seed, askers, blind)
				if err := c.w.run(10 * time.Second); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if len(c.holders) > 1 {
					t.Fatalf("seed %d: %d have the key", seed, len(c.holders))
				}
				if !blind && c.gaveUp > 0 {
					t.Errorf("seed %d: %d of %d gave up", seed, c.gaveUp, askers)
				}
				sum.questions, sum.rounds, sum.gaveUp, sum.last = sum.questions+c.questions, sum.rounds+c.rounds, sum.gaveUp+c.gaveUp, sum.last+c.last
			}
			asked[blind] = sum.questions
			n := float64(askers * seeds)
			t.Logf("%3d askers, blind %-5v: %5.1f questions and %4.2f rounds each, all know after %4d ms, %.1f %% gave up",
				askers, blind, float64(sum.questions)/n, float64(sum.rounds)/n, sum.last.Milliseconds()/seeds, 100*float64(sum.gaveUp)/n)
		}
		if askers > 2 && asked[false] >= asked[true] {
			t.Errorf("%d askers put %d questions, and %d when they are blind", askers, asked[false], asked[true])
		}
	}
}
