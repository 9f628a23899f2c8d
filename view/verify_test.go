package view

import (
	"testing"

	"grapevine/fleet"
	"grapevine/mesh"
)

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
	found, err := v.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		kind     fleet.FindingType
		host     string
		instance fleet.InstanceID
	}
	got := map[key]bool{}
	for _, f := range found.Items {
		got[key{f.Type, f.HostName, f.Instance}] = true
	}
	for _, want := range []key{
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
	if len(got) != 0 || found.Coverage != (fleet.Coverage{Heard: 1, Known: 2}) {
		t.Errorf("got %v beside that, coverage %+v", got, found.Coverage)
	}
}
