package agent_test

import (
	"strings"
	"testing"

	"grapevine/fleet"
)

const (
	aliceKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh alice@laptop"
	bobKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh bob@desk"
)

// lists waits until an agent lists these groups, by name.
func (s *site) lists(names ...string) {
	s.t.Helper()
	s.until("the groups are "+strings.Join(names, ", "), func() bool {
		page, err := s.Groups(s.t.Context(), fleet.ObjectQuery{})
		if err != nil || len(page.Items) != len(names) {
			return false
		}
		for _, name := range names {
			if _, err := s.Group(s.t.Context(), fleet.ObjectRef{IDOrName: name}); err != nil {
				return false
			}
		}
		return true
	})
}

// hearsAll waits until an agent hears so many, itself included: before that a
// record may find too few holders.
func (s *site) hearsAll(hosts int) {
	s.t.Helper()
	s.until("all are heard", func() bool {
		list, err := s.Hosts(s.t.Context())
		return err == nil && list.Coverage.Heard == hosts
	})
}

func (s *site) makesGroup(g fleet.CreateGroup) (fleet.Group, error) {
	s.t.Helper()
	return patiently(s, func() (fleet.Group, error) { return s.asOperator().CreateGroup(s.t.Context(), g) })
}

func (s *site) makesKeyPair(p fleet.CreateKeyPair) (fleet.KeyPair, error) {
	s.t.Helper()
	return patiently(s, func() (fleet.KeyPair, error) { return s.asOperator().CreateKeyPair(s.t.Context(), p) })
}

func TestObjectsOutliveTheirAgentsAndEndForEver(t *testing.T) {
	s, second, third, _ := fleetOfFour(t)
	group, err := s.makesGroup(fleet.CreateGroup{Name: "web", Policy: fleet.AntiAffinity})
	if err != nil || group.ID.IsZero() || group.Project != fleet.DefaultProject || group.Policy != fleet.AntiAffinity || group.By != "operator test" {
		t.Fatalf("made %+v, %v", group, err)
	}
	pair, err := s.makesKeyPair(fleet.CreateKeyPair{Name: "alice", PublicKey: aliceKey})
	if err != nil || pair.PublicKey != aliceKey {
		t.Fatalf("made %+v, %v", pair, err)
	}
	for _, at := range []*site{s, second, third} {
		at.lists("web")
	}
	for _, at := range []*site{s, second, third} {
		at.cfg.GossipBind = at.agent.GossipAddr() // where the others look for it
		at.restart()
	}
	for _, at := range []*site{s, second, third} {
		at.lists("web")
		if got, err := at.KeyPair(t.Context(), fleet.ObjectRef{IDOrName: "alice"}); err != nil || got != pair {
			t.Errorf("%s shows %+v, %v", at.cfg.Name, got, err)
		}
	}

	third.hearsAll(3)
	ended, err := patiently(third, func() (fleet.Decided, error) {
		return third.asOperator().EndObject(t.Context(), fleet.MakeGroup, fleet.ObjectRef{IDOrName: "web"}, "")
	})
	if err != nil || ended.Record.Kind != fleet.EndGroup || ended.Record.Subject != group.ID {
		t.Fatalf("ended %+v, %v", ended, err)
	}
	for _, at := range []*site{s, second, third} {
		at.lists()
		at.cfg.GossipBind = at.agent.GossipAddr()
		at.restart()
	}
	for _, at := range []*site{s, second, third} {
		at.lists()
	}
	s.hearsAll(3)
	again, err := s.makesGroup(fleet.CreateGroup{Name: "web", Policy: fleet.Affinity})
	if err != nil || again.ID == group.ID || again.Policy != fleet.Affinity {
		t.Errorf("the name made again: %+v, %v", again, err)
	}
}

func TestNameOfAnObjectIsTakenWhileItIsShown(t *testing.T) {
	s, _, _, _ := fleetOfFour(t)
	c := s.asOperator()
	if _, err := s.makesGroup(fleet.CreateGroup{Name: "web", Policy: fleet.Affinity}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.makesKeyPair(fleet.CreateKeyPair{Name: "web", PublicKey: aliceKey}); err != nil {
		t.Errorf("a key pair of a group's name: %v", err)
	}
	s.lists("web")
	for _, policy := range []fleet.GroupPolicy{fleet.Affinity, fleet.AntiAffinity} {
		if _, err := c.CreateGroup(t.Context(), fleet.CreateGroup{Name: "web", Policy: policy}); fleet.CodeOf(err) != fleet.CodeConflict {
			t.Errorf("a second group of the name, %s: %v", policy, err)
		}
	}
	if _, err := c.CreateKeyPair(t.Context(), fleet.CreateKeyPair{Name: "web", PublicKey: bobKey}); fleet.CodeOf(err) != fleet.CodeConflict {
		t.Errorf("a second key pair of the name: %v", err)
	}
	if _, err := s.makesGroup(fleet.CreateGroup{Name: "web", Project: "shop", Policy: fleet.Affinity}); err != nil {
		t.Errorf("the name in another project: %v", err)
	}
	if _, err := c.EndObject(t.Context(), fleet.MakeGroup, fleet.ObjectRef{IDOrName: "db"}, ""); fleet.CodeOf(err) != fleet.CodeNotFound {
		t.Errorf("one that is not there is ended: %v", err)
	}
	id := fleet.PassedOn{ID: fleet.UUID{7}}
	if _, err := c.CreateGroup(t.Context(), fleet.CreateGroup{Name: "mine", Policy: fleet.Affinity, PassedOn: id}); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("an operator names the id: %v", err)
	}
}
