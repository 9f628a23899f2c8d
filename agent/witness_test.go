package agent_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"grapevine/agent"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

// college starts a fleet of so many agents, of which the first has the image,
// and lets all hear of one another.
func college(t *testing.T, hosts int) []*site {
	t.Helper()
	first := newSite(t, nil)
	sites := []*site{first}
	for n := 2; n <= hosts; n++ {
		sites = append(sites, first.beside(byte(n), fmt.Sprintf("host-%d", n)))
	}
	for _, s := range sites {
		s.until("all hosts are heard", func() bool {
			list, err := s.Hosts(t.Context())
			return err == nil && len(list.Items) == hosts
		})
	}
	return sites
}

// create makes an instance on the site's own host, under a key.
func (s *site) create(key string) (fleet.Accepted, error) {
	s.t.Helper()
	return s.CreateInstance(s.t.Context(), fleet.Create{Name: "vm", Flavor: "nano", Image: "tiny", Host: s.cfg.Name}, client.CreateOptions{Key: key})
}

func (s *site) pin(hosts ...string) fleet.WitnessReport {
	s.t.Helper()
	report, err := s.ChangeWitnesses(s.t.Context(), fleet.WitnessChange{Members: hosts})
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// settled waits until these hosts grant under one set, and nobody keeps keys
// for himself any more.
func (s *site) settled(number uint64, hosts ...string) {
	s.t.Helper()
	s.until("the set is settled", func() bool {
		r, err := s.Witnesses(s.t.Context())
		if err != nil || r.Set.Number != number || len(r.Waiting) > 0 {
			return false
		}
		granting := map[string]bool{}
		for _, row := range r.Members {
			granting[row.Name] = row.Ready && row.Set.Number == number
		}
		for _, name := range hosts {
			if !granting[name] {
				return false
			}
		}
		return len(r.Members) == len(hosts)
	})
}

// five are the names of the first five hosts.
var five = []string{"host-1", "host-2", "host-3", "host-4", "host-5"}

func TestKeysOfTheHomeRuleAreHandedToTheWitnesses(t *testing.T) {
	sites := college(t, 6)
	one := sites[0]
	before := map[string]fleet.InstanceID{}
	for n := range 6 {
		key := fmt.Sprintf("before-%d", n)
		accepted, err := one.create(key)
		if err != nil && fleet.CodeOf(err) != fleet.CodeRefused {
			t.Fatal(err)
		}
		if err == nil {
			before[key] = accepted.Instance.ID
		}
	}
	if len(before) == 0 {
		t.Fatal("nothing was created under the home rule")
	}
	one.pin(five...)
	for _, s := range sites {
		s.settled(1, five...)
	}
	for key, id := range before {
		one.running(id)
		again, err := one.create(key)
		if err != nil || again.Instance.ID != id {
			t.Errorf("%s again: %s, %v; want %s", key, again.Instance.ID, err, id)
		}
		_, err = sites[1].create(key)
		if got := fleet.CodeOf(err); got != fleet.CodeMisdirected && got != fleet.CodeKeyReused {
			t.Errorf("%s at another host: %v; want to be told that it was given away", key, err)
		}
		_, err = sites[5].Key(t.Context(), id)
		code(t, err, fleet.CodeWitnessesDecide)
	}
}

func TestWitnessIsReplacedWhileKeysAreGranted(t *testing.T) {
	sites := college(t, 6)
	one := sites[0]
	one.pin(five...)
	one.settled(1, five...)
	first, err := one.create("first")
	if err != nil {
		t.Fatal(err)
	}
	sites[4].stop() // the dead one
	if _, err := one.ChangeWitnesses(t.Context(), fleet.WitnessChange{Old: "host-5", New: "host-6"}); err != nil {
		t.Fatal(err)
	}
	if _, err := one.create("during"); err != nil {
		t.Errorf("a create during the change: %v", err)
	}
	one.settled(3, "host-1", "host-2", "host-3", "host-4", "host-6")
	sites[1].stop()
	sites[2].stop()
	again, err := one.create("first")
	if err != nil || again.Instance.ID != first.Instance.ID {
		t.Errorf("the first key again: %s, %v; want %s", again.Instance.ID, err, first.Instance.ID)
	}
	sites[3].stop()
	_, err = one.create("too few")
	code(t, err, fleet.CodeNoWitnesses)
	if err != nil && !strings.Contains(err.Error(), "2 of the 5 witnesses answered") {
		t.Errorf("the error does not say how many answered: %v", err)
	}
	for _, n := range []int{1, 2, 3, 4} {
		sites[n].start()
	}
}

func TestWitnessWithANewJournalLearnsBeforeItGrants(t *testing.T) {
	sites := college(t, 6)
	one, lost := sites[0], sites[1]
	one.pin(five...)
	one.settled(1, five...)
	made, err := one.create("kept")
	if err != nil {
		t.Fatal(err)
	}
	lost.stop()
	if err := os.RemoveAll(lost.cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	lost.start()
	one.settled(1, five...)
	sites[2].stop()
	sites[3].stop()
	again, err := one.create("kept")
	if err != nil || again.Instance.ID != made.Instance.ID {
		t.Errorf("again, by the one that learnt: %s, %v; want %s", again.Instance.ID, err, made.Instance.ID)
	}
	sites[2].start()
	sites[3].start()
}

func TestWitnessRoutesAreForNodes(t *testing.T) {
	s := newSite(t, func(c *agent.Config) { c.Name = "host-1" })
	operator, err := client.New("https://"+s.agent.Addr(), client.Options{TLS: s.issue(identity.Operator, fleet.UUID{}).ClientTLS(s.id, "http/1.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	_, err = operator.Grants(t.Context(), fleet.UUID{})
	code(t, err, fleet.CodeForbidden)
	_, err = operator.TellWitness(t.Context(), fleet.WitnessUpdate{Set: fleet.WitnessSet{Number: 1, Members: []fleet.HostID{{1}, {2}, {3}, {4}, {5}}}})
	code(t, err, fleet.CodeForbidden)
	_, err = s.Grant(t.Context(), fleet.GrantAsk{Number: 1, Key: fleet.UUID{1}, Ballot: fleet.Ballot{Round: 1, Asker: fleet.UUID{2}}})
	if err != nil {
		t.Errorf("a registry's question to one that is no witness: %v; want to be told its set", err)
	}
}
