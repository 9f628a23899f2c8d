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

// joiningWorld takes down which gossip addresses a node joins.
type joiningWorld struct {
	quietWorld
	joined []string
}

func (w *joiningWorld) Join(gossip string) { w.joined = append(w.joined, gossip) }

// An agent that was restarted is back before all have heard that it left, and
// who hears that last believes it. Its link proves the contrary.
func TestPeerOfWhomGossipSaysThatItLeftIsJoinedAgain(t *testing.T) {
	for name, status := range map[string]fleet.MemberStatus{"left": fleet.MemberLeft, "alive": fleet.MemberAlive} {
		for _, before := range []bool{true, false} { // the link, or the word
			now, world := time.Unix(1_000_000, 0), &joiningWorld{}
			n := node.New(node.Config{
				ID: fleet.UUID{1}, Role: fleet.RoleAgent, Links: 3, MaxInbound: 16,
				Rand: rand.New(rand.NewPCG(1, 2)), Log: slog.New(slog.DiscardHandler),
			}, replica.New(), world)
			n.Start(now)
			peer := fleet.UUID{2}
			say := func() {
				n.Members([]fleet.Member{{ID: fleet.UUID{1}, Role: fleet.RoleAgent, Status: fleet.MemberAlive}, {ID: peer, Role: fleet.RoleAgent, Status: status}}, now)
			}
			if !before {
				say()
			}
			l := n.Accepted(peer, now)
			if err := n.Receive(l, &wire.Hello{Protocol: node.Protocol, MinProtocol: node.MinProtocol, ID: peer, Role: fleet.RoleAgent, Gossip: "192.0.2.2:7946", Settled: true}, now); err != nil {
				t.Fatal(err)
			}
			if before {
				say()
			}
			for range 4 * time.Second / step {
				now = now.Add(step)
				if err := n.Receive(l, &wire.Pulse{Number: 1}, now); err != nil {
					t.Fatal(err)
				}
				tick(n, now)
				collect(n, l, now)
			}
			if got, want := len(world.joined) > 0, status == fleet.MemberLeft; got != want {
				t.Errorf("%s, link first %v: joined %v, want that %v", name, before, world.joined, want)
			}
		}
	}
}
