package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// bear makes this registry hear that a host bears records.
func (n *news) bear(row fleet.Host, records ...fleet.Record) {
	n.w.t.Helper()
	image, _ := wire.ImageKey(n.w.image.ID)
	rows := []replica.OwnRow{{Key: wire.HostKey(row.ID), Body: wire.EncodeHost(row)}, {Key: image, Body: wire.EncodeImage(n.w.image)}}
	for _, r := range records {
		rows = append(rows, replica.OwnRow{Key: wire.RecordKey(r.ID), Body: wire.EncodeRecord(r)})
	}
	b, _, err := n.origins[row.ID].Next(rows)
	if err != nil {
		n.w.t.Error(err)
		return
	}
	n.replica.Install(b, time.Now())
}

// object is a record about one.
func object(kind fleet.RecordKind, id byte, name string, acceptor fleet.HostID) fleet.Record {
	r := fleet.Record{Kind: kind, Subject: fleet.UUID{id, 15: 9}, Name: name, Project: fleet.DefaultProject, By: "operator", AcceptedAt: time.UnixMilli(5).UTC(), Acceptor: acceptor}
	if kind == fleet.MakeGroup {
		r.Policy = fleet.Affinity
	}
	if kind == fleet.MakeKeyPair {
		r.PublicKey = aliceKey
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

const aliceKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh alice@laptop"

// CreateGroup implements api.Core: the agent's answer is what the test says, and
// by itself the group, of which the mesh hears.
func (a *fakeAgent) CreateGroup(_ context.Context, ask fleet.CreateGroup, _ api.Principal) (fleet.Group, error) {
	return a.makes(ask)
}

// EndObject implements api.Core.
func (a *fakeAgent) EndObject(_ context.Context, kind fleet.RecordKind, ref fleet.ObjectRef, by string, _ api.Principal) (fleet.Decided, error) {
	return a.ends(kind, ref, by)
}

func TestGroupIsMadeByOneAgentInTheNameOfWhoAsked(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	var mu sync.Mutex
	var ids []fleet.UUID
	unheard := true
	for _, a := range w.agents {
		a.makes = func(ask fleet.CreateGroup) (fleet.Group, error) {
			mu.Lock()
			defer mu.Unlock()
			if ids = append(ids, ask.ID); unheard { // the first has done it, for all that anybody knows
				unheard = false
				return fleet.Group{}, &fleet.Error{Code: fleet.CodeNotReady, Detail: "not ready"}
			}
			r := object(fleet.MakeGroup, 1, ask.Name, a.row.ID)
			r.Subject, r.By, r.Policy = ask.ID, ask.By, ask.Policy
			r.ID = fleet.NameRecord(&r)
			n.bear(a.row, r)
			return fleet.GroupOf(&r), nil
		}
	}
	alice := api.Principal{Role: api.AsOperator, Name: "alice"}
	made, err := c.CreateGroup(t.Context(), fleet.CreateGroup{Name: "web", Policy: fleet.SoftAffinity}, alice)
	if err != nil || made.By != "operator alice" || made.Policy != fleet.SoftAffinity {
		t.Fatalf("made %+v, %v", made, err)
	}
	if len(ids) != 2 || ids[0] != ids[1] || ids[0] != made.ID || made.ID.IsZero() {
		t.Errorf("the agents were asked for %v; want one id, twice", ids)
	}
	if got, err := c.Group(t.Context(), fleet.ObjectRef{IDOrName: "web"}); err != nil || got.ID != made.ID {
		t.Errorf("once it is answered, the registry shows %+v, %v", got, err)
	}
	_, err = c.CreateGroup(t.Context(), fleet.CreateGroup{Name: "db", Policy: fleet.Affinity, PassedOn: fleet.PassedOn{By: "somebody else"}}, alice)
	wantCode(t, err, fleet.CodeInvalid)
}

func TestTakenNameOfAGroupIsNotTriedAtAnotherAgent(t *testing.T) {
	w := newWorld(t, 3)
	c, _ := w.registry()
	var mu sync.Mutex
	var asked []string
	for _, a := range w.agents {
		a.makes = func(fleet.CreateGroup) (fleet.Group, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, a.row.Name)
			return fleet.Group{}, &fleet.Error{Code: fleet.CodeConflict, Detail: "taken"}
		}
	}
	two, _ := w.registry()
	for _, at := range []*core{c, two} {
		_, err := at.CreateGroup(t.Context(), fleet.CreateGroup{Name: "web", Policy: fleet.Affinity}, api.Principal{Role: api.AsOperator})
		wantCode(t, err, fleet.CodeConflict)
	}
	if len(asked) != 2 || asked[0] != asked[1] {
		t.Errorf("asked %v; want the same agent by each registry, and no other", asked)
	}
}

func TestNameThatTwoGroupsHaveIsAmbiguousAndEachEndsByItsID(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	first, second := object(fleet.MakeGroup, 1, "web", w.agents[0].row.ID), object(fleet.MakeGroup, 2, "web", w.agents[1].row.ID)
	n.bear(w.agents[0].row, first)
	n.bear(w.agents[1].row, second)
	for _, a := range w.agents {
		a.ends = func(kind fleet.RecordKind, ref fleet.ObjectRef, by string) (fleet.Decided, error) {
			if ref.IDOrName != second.Subject.String() || kind != fleet.MakeGroup {
				return fleet.Decided{}, errors.New("another one was meant")
			}
			end := object(kind.End(), 2, "web", a.row.ID)
			end.By = by
			n.bear(w.agents[0].row, first, end)
			return fleet.Decided{Record: end}, nil
		}
	}
	alice := api.Principal{Role: api.AsOperator, Name: "alice"}
	_, err := c.EndObject(t.Context(), fleet.MakeGroup, fleet.ObjectRef{IDOrName: "web"}, "", alice)
	if e := wantCode(t, err, fleet.CodeAmbiguous); !slices.Equal(e.Candidates, []string{first.Subject.String(), second.Subject.String()}) {
		t.Errorf("the candidates are %v", e.Candidates)
	}
	joins := create("vm", "")
	joins.Group = "web"
	_, err = c.CreateInstance(t.Context(), joins)
	wantCode(t, err, fleet.CodeAmbiguous)
	done, err := c.EndObject(t.Context(), fleet.MakeGroup, fleet.ObjectRef{IDOrName: second.Subject.String()}, "", alice)
	if err != nil || done.Record.By != "operator alice" {
		t.Fatalf("ended %+v, %v", done, err)
	}
	if got, err := c.Group(t.Context(), fleet.ObjectRef{IDOrName: "web"}); err != nil || got.ID != first.Subject {
		t.Errorf("the name is now that of %+v, %v", got, err)
	}
	_, err = c.EndObject(t.Context(), fleet.MakeGroup, fleet.ObjectRef{IDOrName: "db"}, "", alice)
	wantCode(t, err, fleet.CodeNotFound)
}

// What a create names reaches the host: the public key among those for the guest,
// the group with its policy and its anchor, also where a fast create comes again.
func TestProposalHasTheKeyAndTheGroup(t *testing.T) {
	w := newWorld(t, 3)
	c, n := w.registry()
	group, pair := object(fleet.MakeGroup, 1, "web", w.agents[0].row.ID), object(fleet.MakeKeyPair, 2, "alice", w.agents[0].row.ID)
	var mu sync.Mutex
	var got []fleet.Proposal
	for _, a := range w.agents {
		a.row.Traits = append(a.row.Traits, "cloud-init")
		n.publish(a.row)
		a.beforeClaim = func(_ context.Context, p fleet.Proposal) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, p)
		}
	}
	n.bear(w.agents[0].row, group, pair)
	in := create("vm", "k")
	in.Group, in.KeyPair, in.SSHKeys, in.Fast, in.Host = "web", "alice", []string{"ssh-ed25519 AAAA mine"}, true, w.agents[1].row.Name
	first, err := c.CreateInstance(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	row := running(1)
	row.ID = first.Instance.ID
	n.publish(w.agents[1].row, row)
	if _, err := c.CreateInstance(t.Context(), in); err != nil {
		t.Errorf("again: %v", err)
	}
	if len(got) != 2 {
		t.Fatalf("%d proposals arrived, want 2", len(got))
	}
	for i := range got {
		p := &got[i]
		if !slices.Equal(p.Guest.SSHKeys, []string{"ssh-ed25519 AAAA mine", aliceKey}) {
			t.Errorf("proposal %d has the keys %q", i, p.Guest.SSHKeys)
		}
		if p.Group.ID != group.Subject || p.Group.Policy != fleet.Affinity || p.Group.Anchor != first.Instance.Host || p.Group.AnchorAttempt != 1 {
			t.Errorf("proposal %d joins %+v", i, p.Group)
		}
	}
	in.KeyPair = "bob"
	_, err = c.CreateInstance(t.Context(), in)
	wantCode(t, err, fleet.CodeUnknownKeyPair)
	in.KeyPair, in.Group = "", "db"
	_, err = c.CreateInstance(t.Context(), in)
	wantCode(t, err, fleet.CodeUnknownGroup)
}
