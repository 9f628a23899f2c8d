package mesh

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/internal/testlog"
	"grapevine/mesh/meshtest"
)

// startSerf runs an agent whose membership is real Serf, over the network in
// memory.
func (w *world) startSerf(name string, change ...func(*Config)) *member {
	w.t.Helper()
	w.serf = true
	cfg := Config{
		ID: idOf(name), Name: name, Role: fleet.RoleAgent, API: name + ":7947", Join: []string{nameOf(0)},
		Key: make([]byte, 16), Epochs: &meshtest.Epochs{}, Hardware: "hardware of " + name, Log: w.log.With("node", name),
		Dial: func(ctx context.Context, addr string, _ fleet.UUID) (net.Conn, error) {
			return w.net.Dial(ctx, name, addr)
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	cfg = cfg.withDefaults()
	members, err := serfMembersOn(cfg, w.net.Transport(name+":7946"), name+":7946", newSerfLog(cfg.Log))
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := newMesh(cfg, members)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.launch(name, m)
}

func statuses(x *member) map[string]fleet.MemberStatus {
	out := map[string]fleet.MemberStatus{}
	for _, m := range x.Members() {
		out[m.Name] = m.Status
	}
	return out
}

func TestSerfAndLinksHealALongCutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := lan()
		opts.PacketLoss = 0.01
		w := newWorld(t, opts)
		const n = 8
		var members []*member
		for i := range n {
			members = append(members, w.startSerf(nameOf(i)))
		}
		for i, x := range members {
			x.say(i)
		}
		w.waitFor(time.Minute, "all agree and know each other", func() bool {
			for _, x := range members {
				if len(x.Members()) != n {
					return false
				}
			}
			return w.agree(n)
		})
		far := members[n-1]
		for _, x := range members[:n-1] {
			w.net.Cut(far.name, x.name)
		}
		w.waitFor(3*time.Minute, "the far one has failed for all", func() bool {
			for _, x := range members[:n-1] {
				if statuses(x)[far.name] != fleet.MemberFailed {
					return false
				}
			}
			return true
		})
		far.say(50)
		w.net.Heal()
		took := w.waitFor(2*time.Minute, "it is alive and its news are known", func() bool {
			for _, x := range members[:n-1] {
				if statuses(x)[far.name] != fleet.MemberAlive {
					return false
				}
			}
			return w.agree(n) && members[0].instances(far.name) == 50
		})
		t.Logf("healed after %v", took)

		w.stop(members[3])
		w.waitFor(30*time.Second, "who said good bye has left", func() bool {
			return statuses(members[0])[members[3].name] == fleet.MemberLeft
		})
		w.stopAll()
	})
}

func TestRestartAtAnotherAddressIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := []*member{w.startSerf(nameOf(0)), w.startSerf(nameOf(1)), w.startSerf(nameOf(2))}
		for _, x := range members {
			x.say(1)
		}
		w.waitFor(time.Minute, "all agree", func() bool { return w.agree(3) })
		// It vanishes without a word, and comes back elsewhere at once.
		gone := members[2]
		w.net.Partition([]string{gone.name}, []string{nameOf(0), nameOf(1)})
		store := gone.cfg.Epochs
		w.stop(gone)
		back := w.startSerf(nameOf(9), func(c *Config) { c.ID, c.Epochs, c.Hardware = gone.cfg.ID, store, gone.cfg.Hardware })
		back.say(6)
		w.waitFor(2*time.Minute, "it is alive at its new address", func() bool {
			for _, m := range members[0].Members() {
				if m.ID == gone.cfg.ID {
					return m.Status == fleet.MemberAlive && m.Gossip == nameOf(9)+":7946" && members[0].Replica().Version(m.ID).Epoch == 2
				}
			}
			return false
		})
		w.stopAll()
	})
}

func TestAnotherKeyOrLabelIsSaidInASentence(t *testing.T) {
	for name, c := range map[string]struct {
		change           func(*Config)
		inside, stranger string // what the logs say
	}{
		"another key":   {func(c *Config) { c.Key = bytes.Repeat([]byte{7}, 16) }, "set the same key on every member", "its gossip key or its fleet's label is another"},
		"no key":        {func(c *Config) { c.Key = nil }, "set the same key on every member", "its gossip key or its fleet's label is another"},
		"another label": {func(c *Config) { c.Label = "elsewhere" }, "check the fleet's label", "its gossip key or its fleet's label is another"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, lan())
				var inside, stranger testlog.Log
				a := w.startSerf(nameOf(0), func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&inside, nil)) })
				w.startSerf(nameOf(1), c.change, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&stranger, nil)) })
				time.Sleep(3 * time.Minute)
				if got := inside.String(); !strings.Contains(got, c.inside) {
					t.Errorf("the member does not say %q but:\n%s", c.inside, got)
				}
				if got := stranger.String(); !strings.Contains(got, c.stranger) {
					t.Errorf("the stranger does not say %q but:\n%s", c.stranger, got)
				}
				if lines := strings.Count(inside.String(), c.inside); lines > 4 {
					t.Errorf("in three minutes it was said %d times", lines)
				}
				if got := len(a.Members()); got != 1 {
					t.Errorf("%d members are known", got)
				}
				w.stopAll()
			})
		})
	}
}

func TestTagsStayWithinTheirBound(t *testing.T) {
	for _, c := range []struct{ name, api, gossip string }{
		{"host-1", "10.0.0.1:7947", "10.0.0.1:7946"},
		{strings.Repeat("long", 40), "10.0.0.1:7947", "10.0.0.1:7946"},
		{strings.Repeat("é", 40), "192.168.100.100:17947", "10.0.0.1:7946"},
		{"host-1", "[2001:db8:1111:2222:3333:4444:5555:6666]:7947", "10.0.0.1:7946"},
		{"host-1", "0.0.0.0:7947", "10.0.0.1:7946"},
	} {
		s := &serfMembers{cfg: Config{Role: fleet.RoleAgent, Name: c.name, API: c.api}, advertise: c.gossip}
		if tags := s.tags(); tagBytes(tags) > fleet.MaxTagBytes {
			t.Errorf("%q at %s takes %d bytes: %v", c.name, c.api, tagBytes(tags), tags)
		}
		s.cfg.Role, s.alike = fleet.RoleRegistry, fleet.Alike{UsersFile: "0a1b2c", Settings: "3d4e5f"}
		tags := s.tags()
		if tagBytes(tags) > fleet.MaxTagBytes {
			t.Errorf("registry %q at %s takes %d bytes: %v", c.name, c.api, tagBytes(tags), tags)
		}
		if tags[tagAlike] == "" && len(c.api) < 40 {
			t.Errorf("registry %q at %s does not say what it has: %v", c.name, c.api, tags)
		}
	}
}

// A registry whose users file changes tells the others, through Serf itself.
func TestRegistriesTellWhatTheyHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		seed := w.startSerf(nameOf(0))
		teller := w.startSerf(nameOf(1), func(c *Config) { c.Role, c.Epochs = fleet.RoleRegistry, nil })
		shows := func(want fleet.Alike) func() bool {
			return func() bool {
				for _, m := range seed.Members() {
					if m.ID == idOf(nameOf(1)) {
						return m.Alike == want
					}
				}
				return false
			}
		}
		for _, has := range []fleet.Alike{{UsersFile: "none", Settings: "111111"}, {UsersFile: "222222", Settings: "111111"}} {
			if err := teller.Tell(has); err != nil {
				t.Fatal(err)
			}
			w.waitFor(time.Minute, "what it has is shown", shows(has))
		}
		w.stopAll()
	})
}

func TestJoinEntriesGetThePort(t *testing.T) {
	for entry, want := range map[string]string{
		"seed":             "seed:7946",
		"seed.example:99":  "seed.example:99",
		"10.0.0.1":         "10.0.0.1:7946",
		"2001:db8::1":      "[2001:db8::1]:7946",
		"[2001:db8::1]":    "[2001:db8::1]:7946",
		"[2001:db8::1]:99": "[2001:db8::1]:99",
	} {
		got, err := resolveJoin(t.Context(), entry)
		if err != nil || fmt.Sprint(got) != fmt.Sprint([]string{want}) {
			t.Errorf("%s becomes %v, %v, want %s", entry, got, err, want)
		}
	}
}

func TestConfigAtFaultIsNamed(t *testing.T) {
	good := Config{
		ID: fleet.UUID{1}, Role: fleet.RoleAgent, Epochs: &meshtest.Epochs{}, GossipBind: "127.0.0.1:0",
		Dial: func(context.Context, string, fleet.UUID) (net.Conn, error) { return nil, net.ErrClosed },
	}
	for word, change := range map[string]func(*Config){
		"id":     func(c *Config) { c.ID = fleet.UUID{} },
		"role":   func(c *Config) { c.Role = "king" },
		"epoch":  func(c *Config) { c.Epochs = nil },
		"dial":   func(c *Config) { c.Dial = nil },
		"key":    func(c *Config) { c.Key = []byte("short") },
		"label":  func(c *Config) { c.Label = strings.Repeat("x", 65) },
		"links":  func(c *Config) { c.Links = -1 },
		"gossip": func(c *Config) { c.GossipBind = "nonsense" },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("a bad %s gives %v", word, err)
		}
	}
}
