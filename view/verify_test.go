package view

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
)

// doubted is what a view finds in the rows alone, by kind, host and instance.
type doubted struct {
	kind     fleet.FindingType
	host     string
	instance fleet.InstanceID
}

func verified(t *testing.T, v *View) (map[doubted]bool, fleet.Coverage) {
	t.Helper()
	found, err := v.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[doubted]bool{}
	for _, f := range found.Items {
		got[doubted{f.Type, f.HostName, f.Instance}] = true
	}
	return got, found.Coverage
}

func TestVerifyFindsTwinsAndCopiesAtTheWrongHost(t *testing.T) {
	m := newFakeMesh(t)
	row := func(n byte, power fleet.Power) fleet.Instance {
		in := instance(n, "vm")
		in.Power = power
		return in
	}
	gone := row(12, fleet.PowerStopped)
	gone.SupersededBy = uuid(2)
	m.publish(mesh.State{Host: host(1, "alpha"), Instances: []fleet.Instance{row(10, fleet.PowerRunning), row(11, fleet.PowerRunning), gone}})
	m.publish(mesh.State{Host: host(2, "beta"), Instances: []fleet.Instance{row(10, fleet.PowerRunning), row(11, fleet.PowerStopped), row(13, fleet.PowerRunning)}})
	m.member(uuid(2), fleet.MemberFailed)
	v := New(Config{Source: m, Self: uuid(1), Local: ownHost{}, Now: m.now})
	got, coverage := verified(t, v)
	for _, want := range []doubted{
		{fleet.FindTwin, "alpha", uuid(10)},
		{fleet.FindTwin, "beta", uuid(10)},
		{fleet.FindWrongHost, "beta", uuid(11)},
		{fleet.FindWrongHost, "alpha", uuid(12)},
		{fleet.FindNotAsked, "beta", fleet.InstanceID{}},
		{fleet.FindGhost, "", fleet.InstanceID{}}, // what the own host has told
	} {
		if !got[want] {
			t.Errorf("%+v is not among the findings", want)
		}
		delete(got, want)
	}
	if len(got) != 0 || coverage != (fleet.Coverage{Heard: 1, Known: 2}) {
		t.Errorf("got %v beside that, coverage %+v", got, coverage)
	}
}

// What a lost host last said of its machines is no alarm once somebody has
// declared it dead, and nothing at all once it is forgotten.
func TestVerifyDoesNotCallAMachineOfADeadHostATwin(t *testing.T) {
	for kind, want := range map[fleet.RecordKind]map[doubted]bool{
		"": {
			{fleet.FindTwin, "a", uuid(10)}: true, {fleet.FindTwin, "c", uuid(10)}: true,
			{fleet.FindNotAsked, "c", fleet.InstanceID{}}: true,
		},
		fleet.DeclareDead: {
			{fleet.FindWrongHost, "c", uuid(10)}: true, {fleet.FindNotAsked, "c", fleet.InstanceID{}}: true,
		},
		fleet.Forget: {},
	} {
		m := newFakeMesh(t)
		row := instance(10, "vm")
		row.Power = fleet.PowerRunning
		mine := mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{row}}
		if kind != "" {
			mine.Records = []fleet.Record{word(kind, uuid(3), 1)}
		}
		m.publish(mine)
		m.publish(mesh.State{Host: host(3, "c"), Instances: []fleet.Instance{row}})
		m.member(uuid(3), fleet.MemberFailed)
		got, _ := verified(t, New(Config{Source: m, Self: uuid(1), Local: ownHost{}, Now: m.now}))
		delete(got, doubted{fleet.FindGhost, "", fleet.InstanceID{}}) // what the own host has told
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(doubted{})); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", kind, diff)
		}
	}
}
