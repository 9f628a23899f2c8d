package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"grapevine/fleet"
)

// objectWords are what people call objects of a kind, and where they are listed.
var objectWords = map[fleet.RecordKind]struct{ noun, list string }{
	fleet.MakeGroup:   {"server group", "grapevine group list"},
	fleet.MakeKeyPair: {"key pair", "grapevine keypair list"},
}

// Object returns the record that made an object, of the project where it is
// named; an error with this code where there is none. A name that several have,
// made during a partition, is CodeAmbiguous.
func (v *View) Object(kind fleet.RecordKind, ref fleet.ObjectRef, missing fleet.Code) (fleet.Record, error) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	words := objectWords[kind]
	var found []fleet.Record
	if id, err := fleet.ParseUUID(ref.IDOrName); err == nil {
		if r, ok := v.facts.index.Object(kind, id); ok && (ref.Project == "" || r.Project == ref.Project) {
			found = append(found, r)
		}
	} else {
		found = v.facts.index.Named(kind, cmp.Or(ref.Project, fleet.DefaultProject), ref.IDOrName)
	}
	switch len(found) {
	case 0:
		return fleet.Record{}, &fleet.Error{Code: missing, Detail: fmt.Sprintf("%.80q is neither the id nor the name of a %s of project %q; list them with: %s",
			ref.IDOrName, words.noun, cmp.Or(ref.Project, fleet.DefaultProject), words.list)}
	case 1:
		return found[0], nil
	}
	e := &fleet.Error{Code: fleet.CodeAmbiguous, Detail: fmt.Sprintf("%d %ss of project %q are named %q; give the id of one", len(found), words.noun, found[0].Project, ref.IDOrName)}
	for i := range found {
		e.Candidates = append(e.Candidates, found[i].Subject.String())
	}
	return fleet.Record{}, e
}

// CountObjects returns how many objects of a kind are shown.
func (v *View) CountObjects(kind fleet.RecordKind) int {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.facts.index.CountObjects(kind)
}

// Groups returns a page of the server groups, by id.
func (v *View) Groups(_ context.Context, q fleet.ObjectQuery) (fleet.List[fleet.Group], error) {
	return listObjects(v, fleet.MakeGroup, &q, func(r *fleet.Record) fleet.Group {
		g := fleet.GroupOf(r)
		g.Instances = len(v.members.groups[g.ID])
		return g
	})
}

// Group returns one server group with its members.
func (v *View) Group(_ context.Context, ref fleet.ObjectRef) (fleet.Group, error) {
	r, err := v.Object(fleet.MakeGroup, ref, fleet.CodeNotFound)
	if err != nil {
		return fleet.Group{}, err
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	g := fleet.GroupOf(&r)
	g.Members = v.listMembers(g.ID)
	g.Instances = len(g.Members)
	slices.SortFunc(g.Members, func(a, b fleet.GroupMember) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.Instance.Compare(b.Instance), a.Host.Compare(b.Host))
	})
	return g, nil
}

// KeyPairs returns a page of the key pairs, by id.
func (v *View) KeyPairs(_ context.Context, q fleet.ObjectQuery) (fleet.List[fleet.KeyPair], error) {
	return listObjects(v, fleet.MakeKeyPair, &q, fleet.KeyPairOf)
}

// KeyPair returns one key pair.
func (v *View) KeyPair(_ context.Context, ref fleet.ObjectRef) (fleet.KeyPair, error) {
	r, err := v.Object(fleet.MakeKeyPair, ref, fleet.CodeNotFound)
	if err != nil {
		return fleet.KeyPair{}, err
	}
	return fleet.KeyPairOf(&r), nil
}

// listObjects pages what is shown; show is called with the lock held.
func listObjects[T any](v *View, kind fleet.RecordKind, q *fleet.ObjectQuery, show func(*fleet.Record) T) (fleet.List[T], error) {
	limit, err := pageLimit(q.Limit)
	if err != nil {
		return fleet.List[T]{}, err
	}
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := fleet.List[T]{Items: []T{}, Coverage: v.coverage}
	last := fleet.UUID{}
	for _, r := range v.facts.index.AllObjects(kind, q.Project) {
		switch {
		case r.Subject.Compare(q.Marker) <= 0, q.Name != "" && r.Name != q.Name:
		case len(out.Items) == limit:
			out.Next = last.String()
			return out, nil
		default:
			out.Items, last = append(out.Items, show(&r)), r.Subject
		}
	}
	return out, nil
}

// AwaitRecord blocks until this node has heard of a record, or ctx ends: who
// made an object may name it here from then on.
func (v *View) AwaitRecord(ctx context.Context, id fleet.RecordID) {
	for {
		changed := v.cfg.Source.Replica().Changed()
		if _, _, heard := v.Record(id); heard {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// useKeyPair adds the public key of the key pair that a create names.
func (v *View) useKeyPair(c *fleet.Create) error {
	if c.KeyPair == "" {
		return nil
	}
	r, err := v.Object(fleet.MakeKeyPair, fleet.ObjectRef{IDOrName: c.KeyPair, Project: cmp.Or(c.Project, fleet.DefaultProject)}, fleet.CodeUnknownKeyPair)
	if err == nil {
		c.SSHKeys = append(slices.Clone(c.SSHKeys), r.PublicKey)
	}
	return err
}

// joinGroup turns the group that a create names into what a host judges by.
func (v *View) joinGroup(name string, req *fleet.Request) error {
	if name == "" {
		return nil
	}
	r, err := v.Object(fleet.MakeGroup, fleet.ObjectRef{IDOrName: name, Project: req.Project}, fleet.CodeUnknownGroup)
	if err == nil {
		req.Group.Grouping = fleet.Grouping{ID: r.Subject, Policy: r.Policy}
	}
	return err
}
