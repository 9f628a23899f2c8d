package drivertest

import (
	"fmt"
	"strings"
	"sync/atomic"

	"pgregory.net/rapid"

	"grapevine/drivers"
	"grapevine/fleet"
)

// The steps of a sequence: each draws what it does, does it, and tells the
// model.

func (s *sequence) build() {
	s.make(rapid.SampledFrom(builtNames).Draw(s.T, "machine"), s.size(0))
}

// make builds the machine of that name.
func (s *sequence) make(name string, size fleet.Resources) {
	spec := drivers.Spec{Mark: s.mark(builtID(name), size), Resources: size, Image: s.im}
	s.did("build", name, s.model.build(name, spec), s.k.d.Build(s.k.Context(), spec))
}

func (s *sequence) delete() {
	s.seldom()
	name, id := s.one(anyNames)
	s.did("delete", name, s.model.delete(name), s.k.d.Delete(s.k.Context(), id))
}

func (s *sequence) act() {
	name, id := s.one(anyNames)
	action := rapid.SampledFrom([]fleet.InstanceAction{fleet.Start, fleet.Start, fleet.Stop, fleet.Reboot, fleet.Pause, fleet.Resume}).Draw(s.T, "action")
	if m, ok := s.model.machines[name]; ok && m.power == fleet.PowerPaused && action == fleet.Reboot {
		s.Skip("what the reboot of a paused machine does is the hypervisor's business")
	}
	s.did(string(action), name, s.model.act(name, action), s.k.d.Act(s.k.Context(), id, action, drivers.ActOptions{}))
}

// defined numbers the machines made behind drivers' backs: a hypervisor may
// keep the files of one that is gone.
var defined atomic.Int64

func (s *sequence) define() {
	name := rapid.SampledFrom(definedNames).Draw(s.T, "machine")
	if _, ok := s.model.machines[name]; ok {
		s.Skip("it is there already")
	}
	id := s.k.h.Define(s.k, fmt.Sprintf("sequence-%d", defined.Add(1)))
	m, err := s.k.d.Inspect(s.k.Context(), id)
	s.want("inspect defined "+name, err, nil)
	s.model.machines[name] = &modelled{id: id, power: fleet.PowerStopped, size: m.Resources}
}

func (s *sequence) adopt() {
	name, id := s.one(anyNames)
	s.unlessRescued(name)
	mark := s.mark(id, fleet.Resources{})
	s.did("adopt", name, s.model.adopt(name, mark), s.k.d.Adopt(s.k.Context(), id, mark))
}

func (s *sequence) disown() {
	s.seldom()
	name, id := s.one(anyNames)
	s.unlessRescued(name)
	s.did("disown", name, s.model.disown(name), s.k.d.Disown(s.k.Context(), id))
}

// flip turns a machine on or off behind the driver's back.
func (s *sequence) flip() {
	name, m := s.there(func(m *modelled) bool { return m.power != fleet.PowerPaused })
	s.about = name
	if m.power == fleet.PowerRunning {
		s.k.h.PowerOff(s.k, m.id)
		m.power = fleet.PowerStopped
		return
	}
	s.k.h.PowerOn(s.k, m.id)
	m.power = fleet.PowerRunning
}

// remove removes a machine behind the driver's back; what it leaves is in the
// way of the next one of that id.
func (s *sequence) remove() {
	s.seldom()
	name, m := s.there(func(m *modelled) bool { return m.power == fleet.PowerStopped && len(m.pasts) == 0 })
	s.k.h.Remove(s.k, m.id)
	delete(s.model.machines, name)
}

func (s *sequence) importImage() {
	s.want("import image", s.k.images().ImportImage(s.k.Context(), s.im, s.source()), nil)
	s.model.image, s.looks = true, true
}

func (s *sequence) removeImage() {
	if s.model.usesImage() {
		s.Skip("a machine needs it")
	}
	s.want("remove image", s.k.images().RemoveImage(s.k.Context(), s.im.ID), nil)
	s.model.image, s.looks = false, true
}

// cut makes the hypervisor unreachable for a while: nothing is said of any
// machine, and nothing is done.
func (s *sequence) cut() {
	s.seldom()
	name, id := s.one(anyNames)
	s.k.h.Cut(s.k)
	_, listed := s.k.d.List(s.k.Context())
	_, inspected := s.k.d.Inspect(s.k.Context(), id)
	stopped := s.k.d.Act(s.k.Context(), id, fleet.Stop, drivers.ActOptions{})
	deleted := s.k.d.Delete(s.k.Context(), id)
	s.k.h.Restore(s.k)
	s.want("list while cut", listed, drivers.ErrUnavailable)
	s.did("inspect while cut", name, drivers.ErrUnavailable, inspected)
	s.did("stop while cut", name, drivers.ErrUnavailable, stopped)
	s.did("delete while cut", name, drivers.ErrUnavailable, deleted)
	s.k.eventually("the driver works again", func() bool {
		_, err := s.k.d.List(s.k.Context())
		return err == nil
	})
}

// reopen goes on with another connection.
func (s *sequence) reopen() {
	s.seldom()
	s.k.closeAll()
	s.k.opened = nil
	s.k.d = s.k.open()
	s.looks = true
}

// seldom leaves out most steps of a kind that takes long, or after which little
// is left.
func (s *sequence) seldom() {
	if rapid.IntRange(0, 3).Draw(s.T, "seldom") != 0 {
		s.Skip("not this time")
	}
}

func (s *sequence) resize() {
	name, id := s.one(anyNames)
	s.unlessRescued(name)
	var disk int64
	if m, ok := s.model.machines[name]; ok {
		disk = m.size.DiskGiB
	}
	size := s.size(disk)
	if m, ok := s.model.machines[name]; ok && (len(m.pasts) > 0 || disk == 0 || len(m.devices) > 0) {
		size.DiskGiB = disk // whether a disk that has snapshots grows is the hypervisor's business, and a case has further disks
	}
	if disk > 1 && rapid.IntRange(0, 4).Draw(s.T, "shrink") == 0 {
		size.DiskGiB = disk - 1
	}
	mark := s.mark(id, size)
	var takes error
	if live, ok := s.k.d.(drivers.LiveResizer); ok && s.model.has(drivers.FeatureResizeLive) {
		takes = live.ResizableLive(s.k.Context(), id, size)
	}
	s.did("resize", name, s.model.resize(name, size, mark, takes), ability[drivers.Resizer](s.k).Resize(s.k.Context(), id, size, mark))
}

// rebuild makes a machine anew from the image that it was made from.
func (s *sequence) rebuild() {
	name, m := s.there(func(m *modelled) bool { return m.built })
	mark := s.mark(m.id, m.size)
	if mark.Rebuilt = 1; m.mark != nil {
		mark.Rebuilt = m.mark.Rebuilt + 1
	}
	r := drivers.Rebuild{Image: s.im, Mark: mark}
	s.did("rebuild", name, s.model.rebuild(name, &r), ability[drivers.Rebuilder](s.k).Rebuild(s.k.Context(), m.id, r))
}

// pastable draws a machine that can have snapshots, and a snapshot's name.
func (s *sequence) pastable() (name string, id fleet.InstanceID, past string) {
	name, m := s.there(func(m *modelled) bool { return m.built && !m.rescued() && m.size.DiskGiB > 0 })
	return name, m.id, rapid.SampledFrom(pastNames).Draw(s.T, "snapshot")
}

func (s *sequence) take() {
	name, id, past := s.pastable()
	s.did("take "+past, name, s.model.take(name, past), s.k.snapshotter().TakeSnapshot(s.k.Context(), id, past))
}

func (s *sequence) revert() {
	name, id, past := s.pastable()
	mark := s.mark(id, fleet.Resources{})
	s.did("revert to "+past, name, s.model.revert(name, past, mark), s.k.snapshotter().RevertSnapshot(s.k.Context(), id, past, mark))
}

func (s *sequence) forget() {
	name, id, past := s.pastable()
	s.did("forget "+past, name, s.model.forget(name, past), s.k.snapshotter().DeleteSnapshot(s.k.Context(), id, past))
}

// Log is what a step says beside its failure.
func (s *sequence) Log(text string) { s.T.Log(strings.TrimRight(text, "\n")) }
