package node_test

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/node"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// quietWorld does nothing of what a node asks for.
type quietWorld struct{}

func (quietWorld) Dial(*node.Dial)           {}
func (quietWorld) Wake(*node.Link)           {}
func (quietWorld) StoreEpoch(uint64, uint64) {}
func (quietWorld) Join(string)               {}
func (quietWorld) Fail(error)                {}

const (
	step     = 50 * time.Millisecond // in which these tests walk through time
	settling = 3 * time.Second       // after which a link is at rest
)

// greeted returns a node with one link, which its peer dialled or which it
// dialled itself, past the hellos and whatever follows them.
func greeted(t *testing.T, dialled bool, now time.Time) (*node.Node, *node.Link) {
	t.Helper()
	n := node.New(node.Config{
		ID: fleet.UUID{1}, Role: fleet.RoleAgent, Links: 3, MaxInbound: 16,
		Rand: rand.New(rand.NewPCG(1, 2)), Log: slog.New(slog.DiscardHandler),
	}, replica.New(), quietWorld{})
	n.Start(now)
	peer := fleet.UUID{2}
	var l *node.Link
	if dialled {
		l = n.Dialled(&node.Dial{ID: peer}, nil, now)
	} else {
		l = n.Accepted(peer, now)
	}
	hello := &wire.Hello{Protocol: node.Protocol, MinProtocol: node.MinProtocol, ID: peer, Role: fleet.RoleAgent, Settled: true}
	if err := n.Receive(l, hello, now); err != nil {
		t.Fatal(err)
	}
	for range settling / step {
		now = now.Add(step)
		tick(n, now)
		collect(n, l, now)
	}
	return n, l
}

func tick(n *node.Node, now time.Time) {
	for !n.Due().After(now) {
		n.Tick(now)
	}
}

// collect takes all that there is to say, and returns the pulses in it.
func collect(n *node.Node, l *node.Link, now time.Time) (pulses []*wire.Pulse) {
	for {
		msgs, _ := n.Collect(l, nil, now)
		if len(msgs) == 0 {
			return pulses
		}
		for _, msg := range msgs {
			if p, ok := msg.(*wire.Pulse); ok {
				pulses = append(pulses, p)
			}
		}
	}
}

// A second is walked through in steps; the peer, which dialled, gives a pulse
// at some moment of it.
func TestWhoWasDialledAnswersPulsesAndOtherwiseGivesItsOwn(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	n, l := greeted(t, false, now)
	now = now.Add(settling)
	number := uint64(0)
	for second := range 10 {
		for moment := range 20 {
			now = now.Add(step)
			tick(n, now)
			said := collect(n, l, now)
			if second > 1 && len(said) > 0 {
				t.Errorf("second %d: it gave a pulse of its own beside its answers", second)
			}
			if moment != 7 {
				continue
			}
			number++
			if err := n.Receive(l, &wire.Pulse{Number: number}, now); err != nil {
				t.Fatal(err)
			}
			if said := collect(n, l, now); len(said) != 1 || said[0].Echo != number || said[0].HeldUS != 0 {
				t.Fatalf("second %d: said %v to pulse %d, want its echo at once", second, said, number)
			}
		}
	}
	quiet, last := 0, now
	for range 3 * time.Second / step { // the peer says nothing any more
		now = now.Add(step)
		tick(n, now)
		if len(collect(n, l, now)) > 0 {
			quiet++
			last = now
		}
	}
	if quiet < 2 || now.Sub(last) >= time.Second {
		t.Errorf("it gave %d pulses in three seconds to a peer that is silent, the last %v before their end", quiet, now.Sub(last))
	}
}

func TestWhoDialledGivesOnePulseASecondAndAnswersNone(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	n, l := greeted(t, true, now)
	now = now.Add(settling)
	given := 0
	for i := range uint64(200) {
		now = now.Add(step)
		tick(n, now)
		given += len(collect(n, l, now))
		if err := n.Receive(l, &wire.Pulse{Number: i + 1}, now); err != nil {
			t.Fatal(err)
		}
		if said := collect(n, l, now); len(said) > 0 {
			t.Fatalf("it answered a pulse with %v", said)
		}
	}
	if given != 10 {
		t.Errorf("it gave %d pulses in ten seconds, want 10", given)
	}
}
