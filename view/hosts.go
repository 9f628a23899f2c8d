package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// Hosts returns every host ever heard and not forgotten, ordered by name, then id. A host whose
// row this node cannot read has only its id, version and reachability.
func (v *View) Hosts(context.Context) (fleet.List[fleet.Host], error) {
	v.refresh()
	now := v.cfg.Now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := fleet.List[fleet.Host]{Items: make([]fleet.Host, 0, len(v.standings)), Coverage: v.coverage}
	for b := range v.cfg.Source.Replica().Blocks() {
		if !v.decided.gone[b.HostID()] {
			out.Items = append(out.Items, v.host(b, now))
		}
	}
	slices.SortFunc(out.Items, func(a, b fleet.Host) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.ID.Compare(b.ID))
	})
	return out, nil
}

// Host returns one host.
func (v *View) Host(_ context.Context, id fleet.HostID) (fleet.Host, error) {
	v.refresh()
	b := v.cfg.Source.Replica().Block(id)
	if b == nil {
		return fleet.Host{}, noHost(id.String())
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.decided.gone[id] {
		return fleet.Host{}, v.forgotten(id)
	}
	return v.host(b, v.cfg.Now()), nil
}

// host returns the block's host with its overlays. The caller holds mu.
func (v *View) host(b *replica.Block, now time.Time) fleet.Host {
	host, ok := b.Host()
	if !ok {
		host = fleet.Host{ID: b.HostID(), Version: b.Version()}
	}
	v.overlay(&host, now)
	return host
}

// HostIDs returns the ids of all hosts ever heard and not forgotten, reachable
// or not, in order: those among which keys have their homes.
func (v *View) HostIDs() []fleet.HostID {
	gone := v.goneNow()
	ids := make([]fleet.HostID, 0, v.cfg.Source.Replica().Len())
	for b := range v.cfg.Source.Replica().Blocks() {
		if !gone[b.HostID()] {
			ids = append(ids, b.HostID())
		}
	}
	return ids
}

// HostNamed returns the id of the host that a person means: by id, or by a
// name that only one host has.
func (v *View) HostNamed(idOrName string) (fleet.HostID, error) {
	if id, err := fleet.ParseUUID(idOrName); err == nil {
		if v.cfg.Source.Replica().Block(id) == nil || v.Forgotten(id) {
			return fleet.HostID{}, unknownHost(idOrName)
		}
		return id, nil
	}
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	switch ids := v.names[idOrName]; len(ids) {
	case 0:
		return fleet.HostID{}, unknownHost(idOrName)
	case 1:
		return ids[0], nil
	default:
		e := &fleet.Error{Code: fleet.CodeAmbiguous, Detail: fmt.Sprintf("%d hosts are named %q; give the id of one", len(ids), idOrName)}
		for _, id := range ids {
			e.Candidates = append(e.Candidates, id.String())
		}
		return fleet.HostID{}, e
	}
}

// noHost is the error of a host that was asked for itself.
func noHost(id string) error {
	return &fleet.Error{Code: fleet.CodeNotFound, Detail: fmt.Sprintf("no host has the id %.80q; list them with: grapevine host list", id)}
}

// forgotten is the error of a host that was asked for itself and is forgotten.
// The caller holds mu.
func (v *View) forgotten(id fleet.HostID) error {
	word := v.decided.dead[id]
	return &fleet.Error{Code: fleet.CodeNotFound, Detail: fmt.Sprintf(
		"host %s (%s) was forgotten by %s on %s (%s); should it come back, it is listed again", word.Name, id, word.By, word.AcceptedAt.Format("2006-01-02 15:04 UTC"), word.Why)}
}

// unknownHost is the error of a host that is named in something else.
func unknownHost(idOrName string) error {
	return &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("host %.80q is neither the id nor the name of a known host; list them with: grapevine host list", idOrName)}
}
