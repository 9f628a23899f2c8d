package proofs

import (
	"context"
	"fmt"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// formGroups makes the groups that a life begins with: one of each policy.
func (h *History) formGroups() {
	for _, policy := range fleet.GroupPolicies() {
		h.named++
		h.oracle.groups = append(h.oracle.groups, h.group(fmt.Sprint("group-", h.named), policy))
	}
}

// group returns one that there is, by its id.
func (o *oracle) group(n func(int) int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.groups) == 0 {
		return ""
	}
	return o.groups[n(len(o.groups))].ID.String()
}

// renewGroup makes a group, and ends the one in whose place it is. Members of
// that one stay in it, and are judged by it.
func (h *History) renewGroup(at *client.Client) {
	h.named++
	n, name := h.rng.IntN(len(h.oracle.groups)), fmt.Sprint("group-", h.named)
	h.request(func(ctx context.Context) {
		h.oracle.mu.Lock()
		old := h.oracle.groups[n]
		h.oracle.mu.Unlock()
		made, err := at.CreateGroup(ctx, fleet.CreateGroup{Name: name, Policy: old.Policy})
		h.oracle.count("create group " + wordFor("accepted", err))
		if err != nil {
			return
		}
		h.oracle.mu.Lock()
		h.oracle.groups[n] = made
		h.oracle.mu.Unlock()
		_, err = at.EndObject(ctx, fleet.MakeGroup, fleet.ObjectRef{IDOrName: old.ID.String()}, "")
		h.oracle.count("delete group " + wordFor("accepted", err))
	})
}

// group makes a server group, of which both registries have heard.
func (w *World) group(name string, policy fleet.GroupPolicy) fleet.Group {
	w.t.Helper()
	group, err := w.Registries[0].Client.CreateGroup(w.t.Context(), fleet.CreateGroup{Name: name, Policy: policy})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Await(time.Minute, "the other registry knows the group", func() error {
		_, err := w.Registries[1].Client.Group(w.t.Context(), fleet.ObjectRef{IDOrName: name})
		return err
	})
	return group
}
