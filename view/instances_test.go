package view

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
)

func TestFilters(t *testing.T) {
	m := newFakeMesh(t)
	db := instance(21, "db")
	db.Project, db.Power, db.Labels = "shop", fleet.PowerStopped, map[string]string{"tier": "data", "env": "prod"}
	web := instance(22, "web")
	web.Labels = map[string]string{"env": "prod"}
	m.publish(mesh.State{Host: host(1, "alpha"), Instances: []fleet.Instance{db}})
	m.publish(mesh.State{Host: host(2, "beta"), Instances: []fleet.Instance{web}, Images: []fleet.Image{diskImage(1, "i", 0)}})
	v := m.view()
	for _, test := range []struct {
		name string
		q    fleet.InstanceQuery
		want [][2]byte
	}{
		{"none", fleet.InstanceQuery{}, [][2]byte{{21, 1}, {22, 2}}},
		{"host by name", fleet.InstanceQuery{Host: "alpha"}, [][2]byte{{21, 1}}},
		{"host by id", fleet.InstanceQuery{Host: uuid(2).String()}, [][2]byte{{22, 2}}},
		{"project", fleet.InstanceQuery{Project: "shop"}, [][2]byte{{21, 1}}},
		{"state", fleet.InstanceQuery{State: fleet.PowerRunning}, [][2]byte{{22, 2}}},
		{"name", fleet.InstanceQuery{Name: "web"}, [][2]byte{{22, 2}}},
		{"label", fleet.InstanceQuery{Labels: map[string]string{"env": "prod"}}, [][2]byte{{21, 1}, {22, 2}}},
		{"two labels", fleet.InstanceQuery{Labels: map[string]string{"env": "prod", "tier": "data"}}, [][2]byte{{21, 1}}},
		{"label that is empty is not one that is missing", fleet.InstanceQuery{Labels: map[string]string{"tier": ""}}, [][2]byte{}},
		{"nothing matches", fleet.InstanceQuery{Name: "no"}, [][2]byte{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := v.Instances(t.Context(), test.q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ids(got.Items)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadQueriesAreErrors(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "twin")})
	m.publish(mesh.State{Host: host(2, "twin")})
	v := m.view()
	for _, test := range []struct {
		name string
		q    fleet.InstanceQuery
		code fleet.Code
	}{
		{"unknown host", fleet.InstanceQuery{Host: "nowhere"}, fleet.CodeInvalid},
		{"unknown host id", fleet.InstanceQuery{Host: uuid(9).String()}, fleet.CodeInvalid},
		{"two hosts of one name", fleet.InstanceQuery{Host: "twin"}, fleet.CodeAmbiguous},
		{"state", fleet.InstanceQuery{State: "on"}, fleet.CodeInvalid},
		{"negative limit", fleet.InstanceQuery{Limit: -1}, fleet.CodeInvalid},
		{"limit past the bound", fleet.InstanceQuery{Limit: fleet.MaxPage + 1}, fleet.CodeInvalid},
		{"marker", fleet.InstanceQuery{Marker: "x"}, fleet.CodeInvalid},
	} {
		_, err := v.Instances(t.Context(), test.q)
		if fleet.CodeOf(err) != test.code {
			t.Errorf("%s: error %v, want code %s", test.name, err, test.code)
		}
	}
}

// TestPagesShowEveryRowOnceInOrder pages through a fleet with twins, at every
// page size, and wants the same rows as in one page.
func TestPagesShowEveryRowOnceInOrder(t *testing.T) {
	m, rng := newFakeMesh(t), rand.New(rand.NewPCG(5, 5))
	var want [][2]byte
	states := map[byte]mesh.State{}
	for n := range byte(60) {
		on := []byte{1 + byte(rng.IntN(5))}
		if rng.IntN(4) == 0 { // a twin or a triplet
			on = []byte{1, 3, 5}[:2+rng.IntN(2)]
		}
		for _, h := range on {
			s := states[h]
			s.Host = host(h, fmt.Sprintf("h%d", h))
			in := instance(100+n, "vm")
			in.Project = []string{"even", "odd"}[n%2]
			s.Instances = append(s.Instances, in)
			states[h] = s
			want = append(want, [2]byte{100 + n, h})
		}
	}
	for _, s := range states {
		m.publish(s)
	}
	v := m.view()
	for _, project := range []string{"", "even"} {
		want := slices.DeleteFunc(slices.Clone(want), func(id [2]byte) bool { return project == "even" && id[0]%2 == 1 })
		for limit := 1; limit <= 70; limit++ {
			q, got, pages := fleet.InstanceQuery{Project: project, Limit: limit}, [][2]byte{}, 0
			for {
				page, err := v.Instances(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ids(page.Items)...)
				if pages++; page.Next == "" || pages > len(want)+1 {
					break
				}
				if len(page.Items) < limit {
					t.Fatalf("limit %d: page of %d rows that is not the last", limit, len(page.Items))
				}
				q.Marker = page.Next
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("project %q, limit %d (-want +got):\n%s", project, limit, diff)
			}
		}
	}
}

func TestMarkerPastTheEndIsAnEmptyPage(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{instance(9, "vm")}})
	got, err := m.view().Instances(t.Context(), fleet.InstanceQuery{Marker: uuid(200).String()})
	if err != nil || len(got.Items) != 0 || got.Items == nil || got.Next != "" {
		t.Errorf("got %+v, %v; want an empty page that is not null", got, err)
	}
}

func TestOwnerOfATwin(t *testing.T) {
	at := func(h byte, power fleet.Power, generation uint64) fleet.Instance {
		return fleet.Instance{ID: uuid(9), Host: uuid(h), Power: power, Generation: generation}
	}
	for _, test := range []struct {
		name string
		rows []fleet.Instance
		want int
	}{
		{"no rows", nil, -1},
		{"one", []fleet.Instance{at(1, fleet.PowerStopped, 1)}, 0},
		{"both run: the higher generation", []fleet.Instance{at(1, fleet.PowerRunning, 1), at(2, fleet.PowerRunning, 2)}, 1},
		{"the running one over a higher stopped one", []fleet.Instance{at(1, fleet.PowerRunning, 1), at(2, fleet.PowerStopped, 2)}, 0},
		{"unknown is not running", []fleet.Instance{at(1, fleet.PowerUnknown, 3), at(2, fleet.PowerRunning, 1)}, 1},
		{"none runs: the higher generation", []fleet.Instance{at(1, fleet.PowerStopped, 1), at(2, fleet.PowerCrashed, 2)}, 1},
		{"equals: the lower host id", []fleet.Instance{at(2, fleet.PowerRunning, 1), at(1, fleet.PowerRunning, 1)}, 1},
	} {
		if got := owner(test.rows); got != test.want {
			t.Errorf("%s: row %d, want %d", test.name, got, test.want)
		}
	}
}

func TestTwinIsShownTwiceAndGotOnce(t *testing.T) {
	m := newFakeMesh(t)
	old, moved := instance(9, "vm"), instance(9, "vm")
	moved.Generation = 2
	m.publish(mesh.State{Host: host(1, "alpha"), Instances: []fleet.Instance{old}})
	m.publish(mesh.State{Host: host(2, "beta"), Instances: []fleet.Instance{moved}})
	v := m.view()
	if got := get(t, v, uuid(9)); got.Host != uuid(2) || got.HostName != "beta" {
		t.Errorf("owner is %s, want beta, which has the higher generation", got.HostName)
	}
	list, err := v.Instances(t.Context(), fleet.InstanceQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]byte{{9, 1}, {9, 2}}, ids(list.Items)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestUnknownInstanceIsNotFound(t *testing.T) {
	m := newFakeMesh(t)
	_, err := m.view().Instance(t.Context(), uuid(9))
	if e := wantCode(t, err, fleet.CodeNotFound); e.Instance != uuid(9) {
		t.Errorf("the error is about %s, want %s", e.Instance, uuid(9))
	}
}
