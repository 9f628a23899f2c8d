package drivertest

import (
	"errors"
	"maps"
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

// model is what must be on a hypervisor after a sequence of operations, as the
// contract in package drivers has it. It is pure: operations change it and say
// with which error the driver must end, nil for none.
type model struct {
	features []drivers.Feature
	machines map[string]*modelled // by the name that the sequence gives them
	image    bool                 // the harness's image is imported
}

// modelled is a machine as it must be.
type modelled struct {
	id      fleet.InstanceID
	power   fleet.Power
	size    fleet.Resources
	mark    *drivers.Mark // nil on a foreign machine
	built   bool          // by Build, from the image
	pasts   []modelledPast
	current string // the snapshot that it goes on from
	// devices are its further disks and its cards, by name, where Build made it.
	devices map[string]fleet.Device
}

// modelledPast is a snapshot, with the size that it brings back.
type modelledPast struct {
	fleet.Snapshot
	size fleet.Resources
}

// errRefused stands for any error: which one is the hypervisor's business.
var errRefused = errors.New("an error")

func (m *model) has(f drivers.Feature) bool { return slices.Contains(m.features, f) }

// usesImage reports whether a machine needs the image to go on.
func (m *model) usesImage() bool {
	for _, one := range m.machines {
		if one.built {
			return true
		}
	}
	return false
}

// managed returns the machine that may be written to, or why there is none.
func (m *model) managed(name string) (*modelled, error) {
	switch one, ok := m.machines[name]; {
	case !ok:
		return nil, drivers.ErrNotFound
	case one.mark == nil:
		return nil, drivers.ErrForeign
	default:
		return one, nil
	}
}

func (m *model) build(name string, spec drivers.Spec) error {
	if one, ok := m.machines[name]; ok && one.mark == nil {
		return drivers.ErrForeign
	} else if ok {
		return nil // of that id: it is there already
	}
	if !m.image {
		return drivers.ErrNotFound
	}
	size := spec.Resources
	size.DiskGiB = spec.DiskGiB()
	m.machines[name] = &modelled{id: spec.Mark.ID, power: fleet.PowerStopped, size: size, mark: spec.Mark.Clone(), built: true}
	return nil
}

func (m *model) delete(name string) error {
	if _, err := m.managed(name); errors.Is(err, drivers.ErrForeign) {
		return err
	}
	delete(m.machines, name)
	return nil
}

func (m *model) adopt(name string, mark drivers.Mark) error {
	one, ok := m.machines[name]
	if !ok {
		return drivers.ErrNotFound
	}
	one.mark = mark.Clone()
	return nil
}

func (m *model) disown(name string) error {
	one, ok := m.machines[name]
	if !ok {
		return drivers.ErrNotFound
	}
	one.mark = nil
	return nil
}

func (m *model) act(name string, action fleet.InstanceAction) error {
	one, err := m.managed(name)
	if err != nil {
		return err
	}
	if (action == fleet.Pause || action == fleet.Resume) && !m.has(drivers.FeaturePause) {
		return drivers.ErrUnsupported
	}
	power, ok := leadsTo(one.power, action)
	if !ok {
		return errRefused
	}
	one.power = power
	return nil
}

// leadsTo is the power that an action brings a machine to; ok is false where
// the action cannot be done.
func leadsTo(power fleet.Power, action fleet.InstanceAction) (to fleet.Power, ok bool) {
	awake := power.Awake()
	switch action {
	case fleet.Start:
		return fleet.PowerRunning, power != fleet.PowerPaused
	case fleet.Stop:
		return fleet.PowerStopped, true
	case fleet.Reboot:
		return fleet.PowerRunning, power == fleet.PowerRunning
	case fleet.Pause:
		return fleet.PowerPaused, awake
	case fleet.Resume:
		return fleet.PowerRunning, awake
	default:
		return power, false
	}
}

// resize: takes is what the driver says of a machine that runs, for how it was
// built is the hypervisor's business.
func (m *model) resize(name string, size fleet.Resources, mark drivers.Mark, takes error) error {
	one, ok := m.machines[name]
	if !ok {
		return drivers.ErrNotFound
	}
	judge := drivers.Resizable
	if m.has(drivers.FeatureResizeLive) {
		judge = drivers.ResizableLive
	}
	err := judge(&drivers.Machine{Power: one.power, Resources: one.size, Mark: one.mark}, size)
	if err == nil && one.power == fleet.PowerRunning {
		err = takes
	}
	switch {
	case errors.Is(err, drivers.ErrForeign), errors.Is(err, drivers.ErrUnsupported):
		return err
	case err != nil:
		return errRefused
	}
	one.size, one.mark = size, mark.Clone()
	return nil
}

func (m *model) rebuild(name string, r *drivers.Rebuild) error {
	one, err := m.managed(name)
	switch {
	case err != nil:
		return err
	case len(one.pasts) > 0 || one.rescued() || one.power != fleet.PowerStopped:
		return errRefused
	}
	one.mark = r.Mark.Clone()
	return nil
}

// past returns where a machine's snapshot of that name is, -1 for none.
func (one *modelled) past(name string) int {
	return slices.IndexFunc(one.pasts, func(p modelledPast) bool { return p.Name == name })
}

func (m *model) take(name, past string) error {
	one, err := m.managed(name)
	if err != nil || one.past(past) >= 0 {
		return err
	}
	one.pasts = append(one.pasts, modelledPast{fleet.Snapshot{Name: past, Parent: one.current, Power: one.power}, one.size})
	one.current = past
	return nil
}

func (m *model) revert(name, past string, mark drivers.Mark) error {
	one, ok := m.machines[name]
	if !ok {
		return drivers.ErrNotFound
	}
	i := one.past(past)
	if i < 0 {
		return drivers.ErrNotFound
	}
	one.power, one.size, one.mark, one.current = one.pasts[i].Power, one.pasts[i].size, mark.Clone(), past
	return nil
}

// forget drops a snapshot; those taken upon it lie upon its parent then.
func (m *model) forget(name, past string) error {
	one, err := m.managed(name)
	if err != nil {
		return err
	}
	i := one.past(past)
	if i < 0 {
		return nil
	}
	parent := one.pasts[i].Parent
	one.pasts = slices.Delete(one.pasts, i, i+1)
	for j := range one.pasts {
		if one.pasts[j].Parent == past {
			one.pasts[j].Parent = parent
		}
	}
	if one.current == past {
		one.current = parent
	}
	return nil
}

// view is a machine as model and driver are compared: without what differs
// from run to run, such as ids that a hypervisor draws.
type view struct {
	Power fleet.Power
	Size  fleet.Resources
	Mark  *drivers.Mark
}

// views is what the driver must list.
func (m *model) views() map[string]view {
	out := map[string]view{}
	for name, one := range m.machines {
		out[name] = view{Power: one.power, Size: one.size, Mark: nameless(one.mark)}
	}
	return out
}

// snapshots is what the driver must say of a machine's snapshots, by name.
func (one *modelled) snapshots() []fleet.Snapshot {
	var list []fleet.Snapshot
	for _, p := range one.pasts {
		p.Current, p.Resources = p.Name == one.current, p.size
		list = append(list, p.Snapshot)
	}
	slices.SortFunc(list, bySnapshotName)
	return list
}

// nameless is a mark without its id.
func nameless(mark *drivers.Mark) *drivers.Mark {
	if mark == nil {
		return nil
	}
	c := mark.Clone()
	c.ID = fleet.InstanceID{}
	return c
}

// names are those of the machines that are there, sorted.
func (m *model) names() []string { return slices.Sorted(maps.Keys(m.machines)) }
