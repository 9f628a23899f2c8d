package drivertest

import (
	"grapevine/drivers"
	"grapevine/fleet"
)

// The steps of a sequence that rescue machines. An agent asks nothing of a
// rescued machine but power, rebuilds, which drivers refuse, and its end; so does
// a sequence.

func (m *modelled) rescued() bool { return m.mark != nil && m.mark.Rescue.Is() }

// unlessRescued leaves a step out that nobody does to a rescued machine.
func (s *sequence) unlessRescued(name string) {
	if m, ok := s.model.machines[name]; ok && m.rescued() {
		s.Skip("it is rescued")
	}
}

func (s *sequence) rescue() {
	name, id := s.one(anyNames)
	mark := s.mark(id, fleet.Resources{})
	mark.Rescue = drivers.Rescued{Image: s.rescuer.ID, Power: fleet.PowerStopped}
	s.did("rescue", name, s.model.rescue(name, mark), s.k.rescuer().Rescue(s.k.Context(), id, s.rescuer, mark))
}

func (s *sequence) unrescue() {
	name, id := s.one(anyNames)
	mark := s.mark(id, fleet.Resources{})
	s.did("unrescue", name, s.model.unrescue(name, mark), s.k.rescuer().Unrescue(s.k.Context(), id, mark))
}

func (m *model) rescue(name string, mark drivers.Mark) error {
	one, err := m.managed(name)
	switch {
	case err != nil:
		return err
	case one.rescued():
		return nil // by the same image
	case one.mark.Image == "" || one.size.DiskGiB == 0:
		return drivers.ErrUnsupported
	case one.power != fleet.PowerStopped:
		return errRefused
	}
	one.mark = mark.Clone()
	return nil
}

func (m *model) unrescue(name string, mark drivers.Mark) error {
	one, err := m.managed(name)
	switch {
	case err != nil:
		return err
	case !one.rescued():
		return nil
	case one.power != fleet.PowerStopped:
		return errRefused
	}
	one.mark = mark.Clone()
	return nil
}
