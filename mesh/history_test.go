package mesh

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// fleetOf starts n agents that publish their number of instances, and waits
// until they agree.
func fleetOf(w *world, n int) []*member {
	w.t.Helper()
	members := make([]*member, n)
	for i := range members {
		members[i] = w.start(nameOf(i))
		members[i].say(i)
	}
	w.waitFor(30*time.Second, "the fleet agrees", func() bool { return w.agree(n) })
	return members
}

func TestChangeIsSeenEverywhereWithinTenthsOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 30)
		time.Sleep(time.Second)
		at := members[7].say(70)
		took := w.waitFor(300*time.Millisecond, "everybody holds the new version", func() bool {
			for _, x := range members {
				if !x.Replica().Version(idOf(nameOf(7))).AtLeast(at) {
					return false
				}
			}
			return true
		})
		t.Logf("seen by 30 nodes after %v", took)
		w.stopAll()
	})
}

func TestRestartRaisesEpochAndKeepsTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		fleetOf(w, 6)
		store := &meshtest.Epochs{}
		x := w.start("10.0.9.9", func(c *Config) { c.Epochs = store })
		x.say(3)
		w.waitFor(10*time.Second, "the seventh is known", func() bool { return w.agree(7) && x.Settled() })
		before := x.say(3)
		for i := range 5 {
			before = x.say(4 + i)
		}
		w.waitFor(10*time.Second, "its last version is known", func() bool { return w.agree(7) })
		w.stop(x)

		again := w.start("10.0.9.9", func(c *Config) { c.Epochs = store })
		again.say(2)
		w.waitFor(10*time.Second, "the restarted host is known anew", func() bool {
			return w.agree(7) && w.members[nameOf(0)].instances("10.0.9.9") == 2
		})
		after := w.members[nameOf(0)].Replica().Version(idOf("10.0.9.9"))
		if after.Epoch <= before.Epoch || after.Seq != 1 {
			t.Errorf("version after the restart is %v, before it was %v", after, before)
		}
		w.stopAll()
	})
}

func TestLostJournalRisesAboveWhatPeersHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		fleetOf(w, 5)
		x := w.start("10.0.9.9", func(c *Config) { c.Epochs = meshtest.EpochsAt(41) })
		x.say(3)
		w.waitFor(10*time.Second, "the host is known", func() bool { return w.agree(6) })
		w.stop(x)

		w.start("10.0.9.9").say(1) // an empty journal
		w.waitFor(10*time.Second, "the host is known anew", func() bool {
			return w.agree(6) && w.members[nameOf(0)].instances("10.0.9.9") == 1
		})
		if got := w.members[nameOf(0)].Replica().Version(idOf("10.0.9.9")).Epoch; got != 43 {
			t.Errorf("epoch after the loss is %d, want 43", got)
		}
		w.stopAll()
	})
}

// An agent that lost its journal, and comes up where nobody can tell it what
// it was, publishes in an epoch that was used already; once it hears of that
// it rises above it.
func TestEpochRisesWhenOldLifeIsHeardLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 5)
		x := w.start("10.0.9.9", func(c *Config) { c.Epochs = meshtest.EpochsAt(7) })
		x.say(9)
		w.waitFor(10*time.Second, "the host is known", func() bool { return w.agree(6) })
		w.stop(x)

		for _, o := range members {
			w.net.Cut("10.0.9.9", o.name)
		}
		store := &meshtest.Epochs{}
		x = w.start("10.0.9.9", func(c *Config) { c.Epochs = store })
		x.say(2)
		w.waitFor(30*time.Second, "it settles alone", x.Settled)
		if got := x.Replica().Version(x.cfg.ID).Epoch; got != 1 {
			t.Errorf("alone its epoch is %d, want 1", got)
		}
		w.net.Heal()
		w.waitFor(90*time.Second, "all hold its present life", func() bool {
			return w.agree(6) && members[0].instances("10.0.9.9") == 2
		})
		if got := members[0].Replica().Version(x.cfg.ID).Epoch; got != 9 {
			t.Errorf("its epoch is %d, want 9", got)
		}
		w.stopAll()
	})
}

func TestProof08CloneIsRefusedAndTheOriginalGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 5)
		clone := w.start("10.0.9.9", func(c *Config) {
			c.ID, c.Epochs, c.Hardware = members[2].cfg.ID, meshtest.EpochsAt(1), "another machine"
		})
		clone.say(100)
		select {
		case <-clone.finished:
		case <-time.After(time.Minute):
			t.Fatal("the clone still runs")
		}
		if !errors.Is(clone.err, ErrCloned) {
			t.Errorf("the clone ended with %v, want ErrCloned", clone.err)
		}
		w.stop(clone)
		members[2].say(8)
		w.waitFor(10*time.Second, "the original is heard", func() bool { return w.agree(5) && members[0].instances(nameOf(2)) == 8 })
		w.stopAll()
	})
}

// A host whose board was replaced goes on where it was by an operator's word,
// and what ran on the old board is then the copy.
func TestProof08NewBoardOfAHostIsTakenByAnOperatorsWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 5)
		old := members[2]
		anew := w.start("10.0.9.9", func(c *Config) {
			c.ID, c.Epochs, c.Hardware, c.Replaces = old.cfg.ID, meshtest.EpochsAt(1), "another machine", old.cfg.Hardware
		})
		anew.say(9)
		w.waitFor(time.Minute, "the old board is refused", func() bool {
			select {
			case <-old.finished:
				return true
			default:
				return false
			}
		})
		if !errors.Is(old.err, ErrCloned) {
			t.Errorf("the old board ended with %v, want ErrCloned", old.err)
		}
		w.stop(old)
		w.waitFor(time.Minute, "the host is heard", func() bool { return members[0].instances(nameOf(2)) == 9 })
		w.stopAll()
	})
}

func TestPartitionHealsFromBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		const n = 12
		members := fleetOf(w, n)
		var left, right []string
		for i, x := range members {
			if i < n/2 {
				left = append(left, x.name)
			} else {
				right = append(right, x.name)
			}
		}
		w.net.Partition(left, right)
		time.Sleep(20 * time.Second) // all links across are dropped
		for i, x := range members {
			x.say(20 + i)
		}
		time.Sleep(10 * time.Second)
		if got := members[0].instances(nameOf(n - 1)); got != n-1 {
			t.Errorf("across the cut %d instances are seen, want the old %d", got, n-1)
		}
		if got := members[0].instances(nameOf(1)); got != 21 {
			t.Errorf("on the same side %d instances are seen, want 21", got)
		}
		w.net.Heal()
		took := w.waitFor(2*time.Minute, "both sides agree again", func() bool { return w.agree(n) && members[0].instances(nameOf(n-1)) == 20+n-1 })
		t.Logf("healed after %v", took)
		w.stopAll()
	})
}

// What gossip has lost is dialled all the same, and joined.
func TestLostAgentIsDialledAndJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 3)
		x := w.start("10.0.9.9")
		x.say(1)
		w.waitFor(10*time.Second, "the host is known", func() bool { return w.agree(4) })
		for _, o := range members {
			w.net.Cut(x.name, o.name)
		}
		time.Sleep(10 * time.Second)
		x.say(5)
		w.dir.status(x.name, fleet.MemberFailed)
		w.net.Heal()
		w.waitFor(time.Minute, "the lost host is heard again", func() bool { return members[0].instances(x.name) == 5 })
		w.waitFor(time.Minute, "its gossip is joined", func() bool {
			joins := int64(0)
			for _, o := range members {
				joins += o.members.(*listed).joins.Load()
			}
			return joins > 0
		})
		w.stopAll()
	})
}

func TestOneWayCutEndsTheLinkAndOthersCarryOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 8)
		w.net.CutOneWay(nameOf(0), nameOf(1))
		w.net.CutOneWay(nameOf(2), nameOf(0))
		time.Sleep(10 * time.Second)
		for i, x := range members {
			x.say(10 + i)
		}
		w.waitFor(30*time.Second, "all agree in spite of the cuts", func() bool { return w.agree(8) && members[1].instances(nameOf(0)) == 10 })
		w.stopAll()
	})
}

func TestGarbageRowIsIsolatedAndRelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 10)
		x := members[3]
		unknown := wire.Key{Kind: 99, ID: "from a later version"}
		rows := append(x.encodeState(x.state(3)),
			replica.OwnRow{Key: unknown, Body: wire.Body{Core: []byte("opaque")}},
			replica.OwnRow{Key: wire.InstanceKey(fleet.UUID{0xbb}), Body: wire.Body{Core: []byte{0xff, 0xff, 0xff}}})
		x.do(func(now time.Time) { x.node.Publish(rows, now) })
		w.waitFor(10*time.Second, "all hold the block", func() bool { return w.agree(10) })
		for _, o := range members {
			b := o.Replica().Block(x.cfg.ID)
			if row, ok := b.Row(unknown); !ok || string(row.Body) != "opaque" {
				t.Errorf("%s: the unknown row came as %q, %v", o.name, row.Body, ok)
			}
			if got := o.instances(x.name); got != 3 {
				t.Errorf("%s sees %d instances beside the garbage, want 3", o.name, got)
			}
			if b.Unreadable() != 1 {
				t.Errorf("%s counts %d unreadable rows, want 1", o.name, b.Unreadable())
			}
		}
		w.stopAll()
	})
}

func TestRegistryDialsOnlyAndIsReadyOnceItHoldsTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 20)
		w.waitFor(20*time.Second, "agents hold the whole fleet", func() bool {
			for _, x := range members {
				if x.Whole() != nil {
					return false
				}
			}
			return true
		})
		registry := w.start("10.0.8.8", func(c *Config) { c.Role, c.Epochs = fleet.RoleRegistry, nil })
		if registry.Ready() == nil {
			t.Error("the registry is ready before it heard anything")
		}
		w.waitFor(2*time.Second, "the registry is ready", func() bool { return registry.Ready() == nil })
		if got := registry.Replica().Len(); got != 20 {
			t.Errorf("ready with %d hosts, want 20", got)
		}
		w.waitFor(10*time.Second, "the registry has its links", func() bool { return len(registry.LinkList()) == DefaultRegistryLinks })
		for _, l := range registry.LinkList() {
			if !l.Outbound {
				t.Errorf("the registry accepted a link of %s", l.PeerName)
			}
		}
		if v := registry.Publish(State{}); !v.IsZero() {
			t.Errorf("the registry published %v", v)
		}
		w.stopAll()
	})
}

func TestRegistryAloneIsNotReadyAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		registry := w.start("10.0.8.8", func(c *Config) { c.Role, c.Epochs = fleet.RoleRegistry, nil })
		time.Sleep(time.Minute)
		if err := registry.Ready(); err == nil {
			t.Error("a registry that heard no agent is ready")
		}
		w.stopAll()
	})
}

func TestAcceptedLinksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		const n = 12
		for i := range n {
			w.start(nameOf(i), func(c *Config) { c.Links, c.MaxInbound = 5, 3 }).say(1)
		}
		w.waitFor(time.Minute, "all agree", func() bool { return w.agree(n) })
		time.Sleep(3 * time.Minute)
		for _, name := range w.names() {
			inbound, outbound := 0, 0
			for _, l := range w.members[name].LinkList() {
				if l.Outbound {
					outbound++
				} else {
					inbound++
				}
			}
			if inbound > 3 || outbound > 6 {
				t.Errorf("%s has %d accepted and %d dialled links", name, inbound, outbound)
			}
		}
		w.stopAll()
	})
}

func TestLinksAreRedrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 10)
		peers := map[fleet.UUID]bool{}
		for range 10 {
			for _, l := range members[0].LinkList() {
				if l.Outbound {
					peers[l.Peer] = true
				}
			}
			time.Sleep(time.Minute)
		}
		if len(peers) < 5 {
			t.Errorf("in 10 minutes only %d peers were drawn", len(peers))
		}
		for _, x := range members {
			outbound := 0
			for _, l := range x.LinkList() {
				if l.Outbound {
					outbound++
				}
			}
			if outbound > DefaultLinks+1 {
				t.Errorf("%s keeps %d outbound links", x.name, outbound)
			}
		}
		w.stopAll()
	})
}

func TestAgeGrowsWithTheHostsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 10)
		time.Sleep(5 * time.Minute)
		for _, x := range members {
			for _, o := range members {
				age, heard := x.Replica().Age(o.cfg.ID, time.Now())
				if !heard || age > 35*time.Second {
					t.Errorf("%s: the age of %s is %v, heard %v", x.name, o.name, age, heard)
				}
			}
		}
		silent := members[4]
		w.stop(silent)
		stopped := time.Now()
		time.Sleep(2 * time.Minute)
		for _, x := range members {
			if x == silent {
				continue
			}
			age, _ := x.Replica().Age(silent.cfg.ID, time.Now())
			if since := time.Since(stopped); age < since || age > since+35*time.Second {
				t.Errorf("%s: the age of the stopped host is %v, it stopped %v ago", x.name, age, since)
			}
		}
		w.stopAll()
	})
}

func TestPublicationsAreHeldToTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := fleetOf(w, 4)
		time.Sleep(time.Second)
		announced := func() uint64 {
			members[0].mu.Lock()
			defer members[0].mu.Unlock()
			return members[0].node.Stats().Announced
		}
		before := announced()
		var last fleet.Version
		for i := range 1000 {
			last = members[0].say(i % 2)
			time.Sleep(time.Millisecond)
		}
		w.waitFor(time.Second, "the last one is everywhere", func() bool {
			return w.agree(4) && members[3].Replica().Version(last.Host) == last
		})
		// 20 a second and a burst of 4, to 3 peers at most, in about a second.
		if sent := announced() - before; sent > 3*30 {
			t.Errorf("1000 publications made %d announcements", sent)
		}
		w.stopAll()
	})
}

func TestHostOfAnotherFleetIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, meshtest.Options{})
		members := fleetOf(w, 3)
		stranger := w.start("10.0.9.9", func(c *Config) { c.Label = "another" })
		stranger.say(1)
		time.Sleep(time.Minute)
		if members[0].Replica().Block(stranger.cfg.ID) != nil || stranger.Replica().Len() > 1 {
			t.Error("two fleets merged")
		}
		w.stopAll()
	})
}

func TestPublishBeforeTheEpochIsSettledIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		x := w.start("10.0.0.1")
		for i := range 5 {
			if v := x.say(i); !v.IsZero() {
				t.Errorf("unsettled, Publish returned %v", v)
			}
		}
		w.waitFor(10*time.Second, "it settles", x.Settled)
		if got := x.instances(x.name); got != 4 {
			t.Errorf("%d instances were published, want the last 4", got)
		}
		if got := x.say(4); got != (fleet.Version{Host: x.cfg.ID, Epoch: 1, Seq: 1}) {
			t.Errorf("the same state again has version %v", got)
		}
		w.stopAll()
	})
}

func TestManyHistoriesConverge(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, meshtest.Options{Seed: seed, MinDelay: time.Millisecond, MaxDelay: 80 * time.Millisecond, StreamLoss: 0.005})
				stores := map[string]*meshtest.Epochs{}
				const n = 10
				start := func(name string) {
					if stores[name] == nil {
						stores[name] = &meshtest.Epochs{}
					}
					w.start(name, func(c *Config) { c.Epochs = stores[name] }).say(1)
				}
				for i := range n {
					start(nameOf(i))
				}
				for step := range 30 {
					name := nameOf((step*7 + int(seed)) % n)
					switch x := w.members[name]; {
					case x == nil:
						start(name)
					case step%5 == 1:
						w.stop(x)
					case step%5 == 3:
						w.net.CutOneWay(name, nameOf((step*3)%n))
					default:
						x.say(step)
					}
					time.Sleep(700 * time.Millisecond)
				}
				w.net.Heal()
				w.net.SetLoss(0, 0)
				for i := range n {
					if w.members[nameOf(i)] == nil {
						start(nameOf(i))
					}
					w.members[nameOf(i)].say(100 + i)
				}
				w.waitFor(3*time.Minute, "all agree", func() bool {
					for i := range n {
						if w.members[nameOf((i+1)%n)].instances(nameOf(i)) != 100+i {
							return false
						}
					}
					return w.agree(n)
				})
				w.stopAll()
			})
		})
	}
}
