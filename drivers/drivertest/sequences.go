package drivertest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"grapevine/drivers"
	"grapevine/fleet"
)

// SetSequences sets how many sequences RunSequences does, and of about how many
// steps each, until the end of the test; flags that ask for something else
// stand (-rapid.checks, -rapid.steps).
func SetSequences(t *testing.T, sequences, steps int) {
	t.Helper()
	for name, n := range map[string]int{"rapid.checks": sequences, "rapid.steps": steps} {
		f := flag.Lookup(name)
		if f.Value.String() != f.DefValue {
			continue
		}
		if err := flag.Set(name, strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(name, f.DefValue) })
	}
}

// RunSequences does random sequences of operations through a driver and behind
// its back, and compares what the driver shows with the model after every
// step. A sequence that fails is made as short as it can be. Every sequence
// begins and ends with a hypervisor that holds nothing of it.
func RunSequences(t *testing.T, h Harness) {
	t.Helper()
	features := featuresOf(t, h)
	im, content := h.Image()
	k := newKit(t, h)
	others := map[fleet.InstanceID]bool{}
	for _, m := range k.list() {
		others[m.ID] = true
	}
	desc, err := k.d.Describe(k.Context())
	k.must(err)
	network := ""
	if len(desc.Networks) > 0 {
		network = desc.Networks[0]
	}
	var rescuer fleet.Image
	if slices.Contains(features, drivers.FeatureRescue) {
		rescuer = k.otherImage()
	}
	clean := false
	rapid.Check(t, func(rt *rapid.T) {
		s := &sequence{
			T: rt, k: k, im: im, content: content, others: others, network: network, looks: true, rescuer: rescuer,
			model: &model{features: features, machines: map[string]*modelled{}},
		}
		if !clean {
			s.empty()
		}
		clean = false
		s.run()
		clean = true
	})
}

// sequence is one sequence of operations. What it says where it fails is the
// same whenever it is repeated, so that it can be made shorter: ids and words
// that differ from run to run are in the log beside it.
type sequence struct {
	*rapid.T
	k       *kit
	im      fleet.Image
	content []byte
	others  map[fleet.InstanceID]bool // machines that were there before
	model   *model
	rescuer fleet.Image // another image, which is there all the while
	network string      // one that the host has; empty for none
	about   string      // the machine that the last step was about
	looks   bool        // the next check looks at the images too
}

// What a sequence calls its machines, and the snapshots of each.
var (
	builtNames   = []string{"a", "b"}
	definedNames = []string{"x", "y"}
	anyNames     = slices.Concat(builtNames, definedNames)
	pastNames    = []string{"one", "two", "three"}
)

// builtID is the id of a machine that a sequence builds: the same each time,
// so that what an earlier one has left is in the way.
func builtID(name string) fleet.InstanceID {
	return fleet.NewUUIDv5(fleet.UUID{}, "drivertest sequence "+name)
}

func (s *sequence) run() {
	before := s.k.storage()
	actions := map[string]func(*rapid.T){
		"":        func(*rapid.T) { s.check() },
		"build":   func(*rapid.T) { s.build() },
		"delete":  func(*rapid.T) { s.delete() },
		"act":     func(*rapid.T) { s.act() },
		"define":  func(*rapid.T) { s.define() },
		"adopt":   func(*rapid.T) { s.adopt() },
		"disown":  func(*rapid.T) { s.disown() },
		"switch":  func(*rapid.T) { s.flip() },
		"remove":  func(*rapid.T) { s.remove() },
		"import":  func(*rapid.T) { s.importImage() },
		"discard": func(*rapid.T) { s.removeImage() },
		"cut":     func(*rapid.T) { s.cut() },
		"reopen":  func(*rapid.T) { s.reopen() },
	}
	if s.model.has(drivers.FeatureResize) {
		actions["resize"] = func(*rapid.T) { s.resize() }
	}
	if s.model.has(drivers.FeatureRebuild) {
		actions["rebuild"] = func(*rapid.T) { s.rebuild() }
	}
	if s.model.has(drivers.FeatureRescue) {
		actions["rescue"] = func(*rapid.T) { s.rescue() }
		actions["unrescue"] = func(*rapid.T) { s.unrescue() }
	}
	if s.model.has(drivers.FeatureDevices) {
		actions["attach"] = func(*rapid.T) { s.attach() }
		actions["detach"] = func(*rapid.T) { s.detach() }
		actions["grow"] = func(*rapid.T) { s.grow() }
	}
	if s.model.has(drivers.FeatureSnapshot) {
		for _, again := range []string{"", " again"} { // twice as often as the others
			actions["take"+again] = func(*rapid.T) { s.take() }
			actions["revert"+again] = func(*rapid.T) { s.revert() }
			actions["forget"+again] = func(*rapid.T) { s.forget() }
		}
	}
	if rapid.IntRange(0, 3).Draw(s.T, "from nothing") != 0 { // mostly with a machine that has a disk
		s.importImage()
		s.make("a", s.size(1))
	}
	s.Repeat(actions)
	s.empty()
	if diff := cmp.Diff(before, s.k.storage()); diff != "" {
		s.Log(diff)
		s.Fatal("the storage is not as it was before the sequence")
	}
}

// empty makes a hypervisor on which nothing of a sequence is.
func (s *sequence) empty() {
	k := s.k
	for _, name := range builtNames {
		if id := builtID(name); k.count(id) == 1 { // it may have been disowned
			s.want("adopt at the end "+name, k.d.Adopt(k.Context(), id, s.mark(id, fleet.Resources{})), nil)
		}
		s.want("delete at the end of "+name, k.d.Delete(k.Context(), builtID(name)), nil)
	}
	for _, m := range k.list() {
		switch {
		case s.others[m.ID]:
		case m.Mark != nil:
			s.want("delete at the end", k.d.Delete(k.Context(), m.ID), nil)
		default:
			k.removeForeign(m.ID)
		}
	}
	s.want("remove image at the end", k.images().RemoveImage(k.Context(), s.im.ID), nil)
}

// want holds the driver to the error that the model expects.
func (s *sequence) want(what string, got, want error) {
	s.Helper()
	switch {
	case want == nil && got == nil, errors.Is(want, errRefused) && got != nil && !errors.Is(got, drivers.ErrUnavailable):
	case want != nil && errors.Is(got, sentinel(want)):
	default:
		s.Logf("%s: %v", what, got)
		s.Fatalf("%s: got %v, want %v", what, sentinel(got), sentinel(want))
	}
}

// sentinel is the contract's word for an error.
func sentinel(err error) error {
	for _, known := range []error{
		drivers.ErrNotFound, drivers.ErrUnavailable, drivers.ErrUnsupported, drivers.ErrOutOfSpace, drivers.ErrBadImage, drivers.ErrForeign,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	if err != nil {
		return errRefused
	}
	return nil
}

// check compares what the driver shows with the model: the list, and closely
// the machine that the last step was about.
func (s *sequence) check() {
	s.Helper()
	list, err := s.k.d.List(s.k.Context())
	s.want("list", err, nil)
	if !slices.IsSortedFunc(list, func(a, b drivers.Machine) int { return a.ID.Compare(b.ID) }) {
		s.Fatal("the list is not ordered by id")
	}
	got := map[string]view{}
	for _, m := range list {
		if !s.others[m.ID] {
			got[s.name(m.ID)] = view{Power: m.Power, Size: m.Resources, Mark: nameless(m.Mark)}
		}
	}
	if diff := cmp.Diff(s.model.views(), got); diff != "" {
		s.Log(diff)
		s.Fatalf("the driver shows something else than %v", s.model.names())
	}
	if s.about != "" {
		s.inspect(s.about, list)
	}
	if s.looks {
		s.look()
	}
	s.about, s.looks = "", false
}

// name is what the sequence calls a machine.
func (s *sequence) name(id fleet.InstanceID) string {
	for name, m := range s.model.machines {
		if m.id == id {
			return name
		}
	}
	return "unknown machine"
}

// inspect compares what else the driver says of a machine with the list that
// was just read, and its snapshots with the model.
func (s *sequence) inspect(name string, list []drivers.Machine) {
	s.Helper()
	m, ok := s.model.machines[name]
	if !ok {
		_, err := s.k.d.Inspect(s.k.Context(), builtID(name))
		s.want("inspect absent "+name, err, drivers.ErrNotFound)
		return
	}
	one, err := s.k.d.Inspect(s.k.Context(), m.id)
	s.want("inspect "+name, err, nil)
	listed := list[slices.IndexFunc(list, func(m drivers.Machine) bool { return m.ID == one.ID })]
	if diff := cmp.Diff(listed, one, guestsOwnDoing); diff != "" {
		s.Log(diff)
		s.Fatalf("List and Inspect differ over %s", name)
	}
	if m.built && s.model.has(drivers.FeatureDevices) {
		s.fittings(name, m)
	}
	if !s.model.has(drivers.FeatureSnapshot) {
		return
	}
	got, err := s.k.snapshotter().Snapshots(s.k.Context(), m.id)
	s.want("snapshots of "+name, err, nil)
	for i := range got {
		got[i].CreatedAt = time.Time{}
	}
	slices.SortFunc(got, bySnapshotName)
	if diff := cmp.Diff(m.snapshots(), got, cmpopts.EquateEmpty()); diff != "" {
		s.Log(diff)
		s.Fatalf("the snapshots of %s differ", name)
	}
}

// look compares the images.
func (s *sequence) look() {
	s.Helper()
	images, err := s.k.images().Images(s.k.Context())
	s.want("images", err, nil)
	if held := slices.ContainsFunc(images, func(im fleet.Image) bool { return im.ID == s.im.ID }); held != s.model.image {
		s.Fatalf("the image is there: %v, want %v", held, s.model.image)
	}
}

func bySnapshotName(a, b fleet.Snapshot) int { return strings.Compare(a.Name, b.Name) }

// one draws a machine, which may not be there, and returns its id.
func (s *sequence) one(names []string) (string, fleet.InstanceID) {
	name := rapid.SampledFrom(names).Draw(s.T, "machine")
	if m, ok := s.model.machines[name]; ok {
		return name, m.id
	}
	return name, builtID(name)
}

// there draws a machine that is there and of which ok is true.
func (s *sequence) there(ok func(*modelled) bool) (string, *modelled) {
	names := slices.DeleteFunc(s.model.names(), func(n string) bool { return !ok(s.model.machines[n]) })
	if len(names) == 0 {
		s.Skip("there is no such machine")
	}
	name := rapid.SampledFrom(names).Draw(s.T, "machine")
	return name, s.model.machines[name]
}

// size draws a size; the disk is of at least so many GiB.
func (s *sequence) size(disk int64) fleet.Resources {
	base := s.k.facts.Size
	return fleet.Resources{
		VCPUs:     base.VCPUs + rapid.Int64Range(0, 2).Draw(s.T, "vcpus"),
		MemoryMiB: base.MemoryMiB + 16*rapid.Int64Range(0, 3).Draw(s.T, "memory"),
		DiskGiB:   max(disk, base.DiskGiB) + rapid.Int64Range(0, 2).Draw(s.T, "disk"),
	}
}

// mark draws a mark. That of a machine which Build did not make names no image.
func (s *sequence) mark(id fleet.InstanceID, size fleet.Resources) drivers.Mark {
	mark := drivers.Mark{
		ID: id, Name: rapid.SampledFrom([]string{"web", "wéb \"1\" <&>"}).Draw(s.T, "name"), Project: "p", DiskGiB: size.DiskGiB,
		CreatedAt: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), Generation: rapid.Uint64Range(1, 3).Draw(s.T, "generation"),
	}
	if slices.ContainsFunc(builtNames, func(name string) bool { return builtID(name) == id }) {
		mark.Image = s.im.ID
	}
	return mark
}

// did holds the driver to what the model says.
func (s *sequence) did(what, name string, want, got error) {
	s.Helper()
	s.about = name
	s.want(fmt.Sprintf("%s %s", what, name), got, want)
}

// source is the image's content.
func (s *sequence) source() *bytes.Reader { return bytes.NewReader(s.content) }
