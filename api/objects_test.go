package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

const keyNow = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh alice"

var (
	groupNow = fleet.Group{
		ID: fleet.UUID{4}, Name: "web", Project: "shop", Policy: fleet.AntiAffinity, CreatedAt: time.UnixMilli(5).UTC(), By: "operator", Instances: 1,
		Members: []fleet.GroupMember{{Instance: instanceID, Name: "web-1", Host: hostID, HostName: "node-1"}},
	}
	keyPairNow = fleet.KeyPair{ID: fleet.UUID{6}, Name: "alice", Project: "shop", Type: "ssh-ed25519", PublicKey: keyNow, Fingerprint: "SHA256:x", CreatedAt: time.UnixMilli(5).UTC()}
)

func (f *fakeCore) Groups(_ context.Context, q fleet.ObjectQuery) (fleet.List[fleet.Group], error) {
	return fleet.List[fleet.Group]{Next: q.Project + q.Name + q.Marker.String()}, nil
}

func (f *fakeCore) KeyPairs(_ context.Context, q fleet.ObjectQuery) (fleet.List[fleet.KeyPair], error) {
	return fleet.List[fleet.KeyPair]{Next: q.Project + q.Name + q.Marker.String()}, nil
}

func (f *fakeCore) Group(_ context.Context, ref fleet.ObjectRef) (fleet.Group, error) {
	if ref != (fleet.ObjectRef{IDOrName: "a web?", Project: "shop"}) {
		return fleet.Group{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: ref.IDOrName}
	}
	return groupNow, nil
}

func (f *fakeCore) KeyPair(_ context.Context, ref fleet.ObjectRef) (fleet.KeyPair, error) {
	if ref != (fleet.ObjectRef{IDOrName: "alice"}) {
		return fleet.KeyPair{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: ref.IDOrName}
	}
	return keyPairNow, nil
}

func (f *fakeCore) CreateGroup(_ context.Context, c fleet.CreateGroup, who Principal) (fleet.Group, error) {
	return fleet.Group{ID: c.ID, Name: c.Name, Project: c.Project, Policy: c.Policy, By: c.By + string(who.Role)}, nil
}

func (f *fakeCore) CreateKeyPair(_ context.Context, c fleet.CreateKeyPair, who Principal) (fleet.KeyPair, error) {
	return fleet.KeyPair{ID: c.ID, Name: c.Name, Project: c.Project, PublicKey: c.PublicKey, By: c.By + string(who.Role)}, nil
}

func (f *fakeCore) EndObject(_ context.Context, kind fleet.RecordKind, ref fleet.ObjectRef, by string, who Principal) (fleet.Decided, error) {
	r := recordNow
	r.Kind, r.Name, r.Project, r.By = kind.End(), ref.IDOrName, ref.Project, by+string(who.Role)
	return fleet.Decided{Record: r}, nil
}

func TestObjectsAreNamedMadeAndEnded(t *testing.T) {
	c := dial(t, full(), AsOperator)
	group, err := c.Group(t.Context(), fleet.ObjectRef{IDOrName: "a web?", Project: "shop"})
	if diff := cmp.Diff(groupNow, group); diff != "" || err != nil {
		t.Error(err, diff)
	}
	pair, err := c.KeyPair(t.Context(), fleet.ObjectRef{IDOrName: "alice"})
	if diff := cmp.Diff(keyPairNow, pair); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := c.KeyPair(t.Context(), fleet.ObjectRef{IDOrName: "bob"}); fleet.CodeOf(err) != fleet.CodeNotFound {
		t.Errorf("one that is not there: %v", err)
	}
	q := fleet.ObjectQuery{Project: "shop", Name: "web", Marker: fleet.UUID{1}, Limit: 3}
	if page, err := c.Groups(t.Context(), q); err != nil || page.Next != "shopweb"+q.Marker.String() || page.Items == nil {
		t.Errorf("groups: %+v, %v", page, err)
	}
	if page, err := c.KeyPairs(t.Context(), q); err != nil || page.Next != "shopweb"+q.Marker.String() || page.Items == nil {
		t.Errorf("key pairs: %+v, %v", page, err)
	}
	for kind, by := range map[fleet.RecordKind]string{fleet.MakeGroup: "", fleet.MakeKeyPair: "alice, "} {
		done, err := c.EndObject(t.Context(), kind, fleet.ObjectRef{IDOrName: "a web?", Project: "shop"}, by)
		if r := done.Record; err != nil || r.Kind != kind.End() || r.Name != "a web?" || r.Project != "shop" || r.By != by+"operator" {
			t.Errorf("%s: %+v, %v", kind, r, err)
		}
	}
}

func TestObjectsAreCheckedBeforeTheyAreMade(t *testing.T) {
	c := dial(t, full(), AsOperator)
	made, err := c.CreateGroup(t.Context(), fleet.CreateGroup{Name: "web", Policy: fleet.Affinity})
	if err != nil || made.Policy != fleet.Affinity || made.By != "operator" {
		t.Errorf("%+v, %v", made, err)
	}
	pair, err := c.CreateKeyPair(t.Context(), fleet.CreateKeyPair{Name: "alice", PublicKey: keyNow})
	if err != nil || pair.PublicKey != keyNow {
		t.Errorf("%+v, %v", pair, err)
	}
	if _, err := c.CreateGroup(t.Context(), fleet.CreateGroup{Name: " web", Policy: fleet.Affinity}); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("a name with a blank: %v", err)
	}
	if _, err := c.CreateGroup(t.Context(), fleet.CreateGroup{Name: "web", Policy: "apart"}); err == nil {
		t.Error("an unknown policy is taken")
	}
	secret := "-----BEGIN OPENSSH PRIVATE KEY----- hunter2"
	_, err = c.CreateKeyPair(t.Context(), fleet.CreateKeyPair{Name: "alice", PublicKey: secret})
	if fleet.CodeOf(err) != fleet.CodeInvalid || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a private key: %v", err)
	}
	if _, err := dial(t, full(), AsAgent).CreateGroup(t.Context(), fleet.CreateGroup{Name: "web", Policy: fleet.Affinity}); fleet.CodeOf(err) != fleet.CodeForbidden {
		t.Errorf("an agent makes a group: %v", err)
	}
}
