package view

import (
	"context"
	"fmt"
	"slices"

	"grapevine/fleet"
	"grapevine/internal/atonce"
)

// search asks every host that may have an instance of which this node has not
// heard. That it has not says nothing: the instance may be so new, or the node
// so far behind. It is not there when each of them says so; where one cannot be
// asked, nobody knows.
func (v *View) search(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	hosts, unheard := v.mayHave()
	rows := make([]fleet.Instance, len(hosts))
	errs := make([]error, len(hosts))
	atonce.Each(len(hosts), fleet.MaxAskedAtOnce, func(i int) {
		rows[i], errs[i] = ask(ctx, v, hosts[i], func(ctx context.Context, at Local) (fleet.Instance, error) { return at.OwnInstance(ctx, id) })
	})
	var there []fleet.Instance
	silent := slices.Clone(unheard)
	for i, err := range errs {
		switch code := fleet.CodeOf(err); {
		case err == nil:
			there = append(there, rows[i])
		case code != fleet.CodeNotFound && code != fleet.CodeMisdirected:
			silent = append(silent, fmt.Errorf("host %s: %w", v.HostName(hosts[i]), err))
		}
	}
	switch i := owner(there); {
	case i >= 0:
		return there[i], nil
	case len(silent) > 0:
		return fleet.Instance{}, notCurrent("no host that answered has instance %s, and %d of %d did not: %w", id, len(silent), len(hosts)+len(unheard), silent[0])
	default:
		return fleet.Instance{}, fleet.NoInstance(id)
	}
}

// mayHave returns the hosts on which an instance may be: all but those that
// somebody declared dead or had forgotten. Of the others that are members and
// have not been heard, it returns that nothing is known.
func (v *View) mayHave() (hosts []fleet.HostID, unheard []error) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	for id := range v.standings {
		if _, dead := v.decided.dead[id]; !dead && !v.decided.gone[id] {
			hosts = append(hosts, id)
		}
	}
	slices.SortFunc(hosts, fleet.UUID.Compare)
	for id := range v.unheard() {
		if _, dead := v.decided.dead[id]; !dead {
			unheard = append(unheard, fmt.Errorf("host %s has said nothing yet", id))
		}
	}
	return hosts, unheard
}
