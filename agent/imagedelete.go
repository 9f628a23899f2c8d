package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

// DeleteImage implements api.Writer: an image at this host, and no other.
func (a *Agent) DeleteImage(ctx context.Context, id string, host fleet.HostID) (fleet.ImageDeletion, error) {
	if !host.IsZero() && host != a.hostID {
		return fleet.ImageDeletion{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s), and it deletes images only there; ask a registry, or the agent of host %s", a.name(), a.hostID, host)
	}
	if _, err := a.image(id); err != nil {
		return fleet.ImageDeletion{}, errorf(fleet.CodeNotFound, "host %s does not hold image %.12s", a.name(), id)
	}
	if err := a.removeImage(ctx, id); err != nil {
		return fleet.ImageDeletion{}, err
	}
	return fleet.ImageDeletion{Image: id, Removed: []fleet.HostID{a.hostID}}, nil
}

// removeImage removes an image that no instance of this host needs.
func (a *Agent) removeImage(ctx context.Context, id string) error {
	store, ok := a.driver.(drivers.ImageStore)
	if !ok {
		return errorf(fleet.CodeUnsupported, "host %s stores no images", a.name())
	}
	end, err := a.retire(id)
	if err != nil {
		return err
	}
	defer end()
	if err := a.inDrive(ctx, id); err != nil {
		return err
	}
	a.publish() // from now on nobody is to count on it
	if err := store.RemoveImage(ctx, id); err != nil {
		if fleet.CodeOf(err) != "" {
			return err // the driver knows of a machine, and says which
		}
		return driverError(fmt.Sprintf("remove image %.12s at host %s", id, a.name()), err)
	}
	if err := a.journal.ForgetImage(id); err != nil {
		return errorf(fleet.CodeInternal, "%v", err)
	}
	if err := a.observer.LookImages(ctx); err != nil {
		return driverError("list images", err)
	}
	return nil
}

// inDrive refuses to remove an image whose ISO lies in a machine's CD drive. Its
// caller has retired the image, so that none is put into one meanwhile.
func (a *Agent) inDrive(ctx context.Context, id string) error {
	im, err := a.image(id)
	if err != nil {
		return nil // it is gone
	}
	if _, iso := im.File(fleet.RoleISO); !iso {
		return nil
	}
	keeper, err := a.deviceKeeper()
	if err != nil {
		return nil // no drives here
	}
	for machine, m := range a.observer.Picture().Machines {
		devices, err := keeper.Devices(ctx, machine)
		if errors.Is(err, drivers.ErrNotFound) {
			continue
		}
		if err != nil {
			return driverError(fmt.Sprintf("look for image %.12s in CD drives", id), err)
		}
		if slices.ContainsFunc(devices, func(d fleet.Device) bool { return d.Image == id }) {
			return &fleet.Error{
				Code: fleet.CodeConflict, Candidates: []string{machine.String()},
				Detail: fmt.Sprintf("image %.12s lies in a CD drive of instance %s (%s); detach it first", id, m.Name, machine),
			}
		}
	}
	return nil
}

// retire takes an image out of the host's account of itself, if no instance and
// no claim is built on it and nobody is fetching or building. End, which the
// caller calls, ends that, and tells the fleet how it is then.
func (a *Agent) retire(id string) (end func(), err error) {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	if users := a.users(id); len(users) > 0 {
		return nil, &fleet.Error{
			Code: fleet.CodeConflict, Candidates: slices.Sorted(maps.Keys(users)),
			Detail: fmt.Sprintf("image %.12s is in use at host %s by %s; delete them first, or leave the image there", id, a.name(), named(users)),
		}
	}
	if !a.shelf.retire(id) {
		return nil, errorf(fleet.CodeBusy, "image %.12s is being fetched, used or removed at host %s; try again in a moment", id, a.name())
	}
	a.state.retiring[id] = true
	return func() {
		a.state.mu.Lock()
		delete(a.state.retiring, id)
		a.state.mu.Unlock()
		a.shelf.retired(id)
		a.publish()
	}, nil
}

// users are the names of the instances that are, or will be, built on an image,
// by id. The caller holds the state's lock.
func (a *Agent) users(image string) map[string]string {
	users := map[string]string{}
	for id, m := range a.observer.Picture().Machines {
		if m.Mark != nil && (m.Mark.Image == image || m.Mark.Rescue.Image == image) {
			users[id.String()] = m.Mark.Name
		}
	}
	for _, c := range a.state.ledger.Claims() {
		if c.Proposal.Image == image && c.Fault == "" {
			users[c.ID().String()] = c.Proposal.Name
		}
	}
	return users
}

// fewUsers bounds how many instances a sentence names.
const fewUsers = 5

func named(users map[string]string) string {
	var names []string
	for _, id := range slices.Sorted(maps.Keys(users)) {
		if len(names) == fewUsers {
			names = append(names, fmt.Sprintf("%d more", len(users)-fewUsers))
			break
		}
		names = append(names, fmt.Sprintf("instance %s (%s)", users[id], id))
	}
	return strings.Join(names, ", ")
}
