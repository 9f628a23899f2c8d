package proofs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
)

// lead checks, of a fleet that has come to rest, what can only be found by
// asking: that keys and unique names lead to the instances that have them, that
// a name which nobody has can be had, and that groups show their members.
func (h *History) lead() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*answerWithin)
	defer cancel()
	list, err := h.registry().AllInstances(ctx, fleet.InstanceQuery{})
	if err != nil {
		return err
	}
	rows := list.Items // they are what the machines are, and show failed builds too
	return errors.Join(h.keysLead(ctx, rows), h.namesLead(ctx, rows), h.groupsShow(ctx, rows), h.verified(ctx, rows))
}

// verified asks the fleet to look for what is wrong. What it may find is what
// is left of builds that failed, until somebody deletes it.
func (h *History) verified(ctx context.Context, rows []fleet.Instance) error {
	found, err := h.registry().Verify(ctx)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for i := range rows {
		if rows[i].Fault != "" {
			found.Items = slices.DeleteFunc(found.Items, func(f fleet.Finding) bool { return f.Type == fleet.FindClaim && f.Instance == rows[i].ID })
		}
	}
	if found.Faults() > 0 {
		return fmt.Errorf("verify finds %+v", found.Items)
	}
	return nil
}

// keysLead asks for those once more that may have moved: nothing else can have
// changed what their keys lead to.
func (h *History) keysLead(ctx context.Context, rows []fleet.Instance) error {
	var errs []error
	for i := range rows {
		f := h.oracle.fate(rows[i].ID)
		if f == nil || !f.moved || f.lot != nil || f.byHand {
			continue
		}
		got, err := h.registry().CreateInstance(ctx, f.ask, client.CreateOptions{Key: f.key})
		if err != nil || got.Instance.ID != f.id || got.Instance.Host != rows[i].Host {
			errs = append(errs, fmt.Errorf("instance %s is on %s, and its create is answered with %+v, %w", f.id, rows[i].HostName, got.Instance, err))
		}
	}
	return errors.Join(errs...)
}

// namesLead asks for another instance of each unique name: it is refused for the
// one that has it, and only then.
func (h *History) namesLead(ctx context.Context, rows []fleet.Instance) error {
	var errs []error
	for _, name := range uniqueNames {
		holder := fleet.InstanceID{}
		for i := range rows {
			if f := h.oracle.fate(rows[i].ID); f != nil && f.ask.UniqueName && f.ask.Name == name {
				holder = f.id
			}
		}
		errs = append(errs, h.nameLeads(ctx, name, holder))
	}
	return errors.Join(errs...)
}

func (h *History) nameLeads(ctx context.Context, name string, holder fleet.InstanceID) error {
	f := h.newFate()
	f.lot, f.ask = nil, fleet.Create{Name: name, Flavor: "nano", Image: "tiny", UniqueName: true}
	h.oracle.asks(f, nil)
	_, err := h.registry().CreateInstance(ctx, f.ask, client.CreateOptions{Key: f.key, Wait: answerWithin})
	h.oracle.told(f, "create of a unique name at rest", err, f.created(err))
	e, _ := errors.AsType[*fleet.Error](err)
	switch taken := e != nil && e.Code == fleet.CodeNameTaken; {
	case err == nil && holder.IsZero(), taken && e.Instance == holder:
		return nil
	case e != nil && e.Code == fleet.CodeRefused:
		return nil // there is no room, which is seen before the name is asked for
	default:
		return fmt.Errorf("name %s is had by %s, and a create of it is answered with %w", name, holder, err)
	}
}

// groupsShow compares the members that groups show with the machines there are.
func (h *History) groupsShow(ctx context.Context, rows []fleet.Instance) error {
	var errs []error
	for _, g := range h.oracle.groups {
		shown, err := h.registry().Group(ctx, fleet.ObjectRef{IDOrName: g.ID.String()})
		if err != nil {
			errs = append(errs, fmt.Errorf("group %s (%s): %w", g.ID, g.Name, err))
			continue
		}
		var members, there []fleet.InstanceID
		for _, m := range shown.Members {
			members = append(members, m.Instance)
		}
		for i := range rows {
			if rows[i].Group == g.ID {
				there = append(there, rows[i].ID)
			}
		}
		slices.SortFunc(members, fleet.InstanceID.Compare)
		slices.SortFunc(there, fleet.InstanceID.Compare)
		if !slices.Equal(members, there) {
			errs = append(errs, fmt.Errorf("group %s (%s) shows the members %v, and those in it are %v", g.ID, g.Name, members, there))
		}
	}
	return errors.Join(errs...)
}

// fate returns a copy of what is known of an instance, nil if nothing is.
func (o *oracle) fate(id fleet.InstanceID) *fate {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fates[id]
	if f == nil {
		return nil
	}
	now := *f
	return &now
}
