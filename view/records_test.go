package view

import (
	"maps"
	"slices"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh"
)

// word is a record in the life that the fixture gives a host.
func word(kind fleet.RecordKind, host fleet.HostID, epoch uint64) fleet.Record {
	r := fleet.Record{
		Kind: kind, Subject: host, Name: "c", Covers: fleet.Version{Host: host, Epoch: epoch, Seq: 1},
		By: "operator", Why: "burnt", AcceptedAt: time.UnixMilli(5).UTC(), Acceptor: uuid(1),
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

// lost is a view of three hosts, of which the third cannot be heard.
func lost(t *testing.T) (*fakeMesh, *View) {
	t.Helper()
	m := newFakeMesh(t)
	for n, name := range map[byte]string{1: "a", 2: "b", 3: "c"} {
		s := mesh.State{Host: host(n, name), Instances: []fleet.Instance{instance(n, "vm-"+name)}}
		if n == 3 {
			s.Images = []fleet.Image{diskImage(7, "only there", 1)}
		}
		m.publish(s)
	}
	m.member(uuid(3), fleet.MemberFailed)
	return m, m.view()
}

// shown is what a node shows of the fleet, in short.
func shown(t *testing.T, v *View) (hosts []string, machines []string, known int) {
	t.Helper()
	list, err := v.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		hosts = append(hosts, list.Items[i].Name)
	}
	rows, err := v.Instances(t.Context(), fleet.InstanceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows.Items {
		machines = append(machines, rows.Items[i].Name)
	}
	slices.Sort(machines)
	return hosts, machines, list.Coverage.Known
}

func TestForgottenHostIsNotShownUntilItIsBackInALaterEpoch(t *testing.T) {
	m, v := lost(t)
	key := fleet.UUID{0xee}
	home, _ := fleet.HomeOf(key, v.HostIDs())
	for home != uuid(3) { // a key of which the lost host is the home
		key[1]++
		home, _ = fleet.HomeOf(key, v.HostIDs())
	}
	record := word(fleet.Forget, uuid(3), 1)
	hold := func(s *mesh.State) { s.Records = []fleet.Record{record} }
	m.change(uuid(1), hold)
	want := func(hosts, machines []string) {
		t.Helper()
		gotHosts, gotMachines, known := shown(t, v)
		if !slices.Equal(gotHosts, hosts) || !slices.Equal(gotMachines, machines) || known != len(hosts) {
			t.Fatalf("hosts %v and machines %v with %d known, want %v and %v", gotHosts, gotMachines, known, hosts, machines)
		}
		if ids := v.HostIDs(); len(ids) != len(hosts) {
			t.Errorf("keys are kept by %v", ids)
		}
	}
	want([]string{"a", "b"}, []string{"vm-a", "vm-b"})
	if home, _ := fleet.HomeOf(key, v.HostIDs()); home == uuid(3) {
		t.Error("it still keeps keys")
	}
	if images, err := v.Images(t.Context()); len(images.Items) != 0 || err != nil {
		t.Errorf("images %v, %v", images.Items, err)
	}
	if lag, err := v.Lag(t.Context()); len(lag.Rows) != 2 || err != nil {
		t.Errorf("lag of %v, %v", lag.Rows, err)
	}
	for what, err := range map[string]error{
		"host":     second(v.Host(t.Context(), uuid(3))),
		"instance": second(v.Instance(t.Context(), instance(3, "").ID)),
		"peer":     second(v.Peer(uuid(3))),
	} {
		if fleet.CodeOf(err) != fleet.CodeNotFound {
			t.Errorf("%s: %v, want not_found", what, err)
		}
	}
	for _, ref := range []string{"c", uuid(3).String()} {
		if _, err := v.HostNamed(ref); err == nil {
			t.Errorf("%s still names a host", ref)
		}
	}
	if v.Heard(uuid(3)) {
		t.Error("it is heard")
	}

	// A change of what it said, still of the old life, does not bring it back; nor
	// does another holder's block without the record.
	m.change(uuid(3), func(s *mesh.State) { s.Instances = nil })
	m.change(uuid(2), hold)
	m.change(uuid(1), func(s *mesh.State) { s.Records = nil })
	want([]string{"a", "b"}, []string{"vm-a", "vm-b"})

	m.origins[uuid(3)].Begin(2, 78)
	m.change(uuid(3), func(s *mesh.State) { s.Instances = []fleet.Instance{instance(3, "vm-c")} })
	m.member(uuid(3), fleet.MemberAlive)
	want([]string{"a", "b", "c"}, []string{"vm-a", "vm-b", "vm-c"})
	if images, err := v.Images(t.Context()); len(images.Items) != 1 || err != nil {
		t.Errorf("images %v, %v", images.Items, err)
	}
	if id, err := v.HostNamed("c"); id != uuid(3) || err != nil {
		t.Errorf("its name means %v, %v", id, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestHostDeclaredDeadIsShownAsSuchAndTakesNothing(t *testing.T) {
	m, v := lost(t)
	record := word(fleet.DeclareDead, uuid(3), 1)
	m.change(uuid(1), func(s *mesh.State) { s.Records = []fleet.Record{record} })
	hosts, machines, known := shown(t, v)
	if len(hosts) != 3 || len(machines) != 3 || known != 3 {
		t.Errorf("hosts %v, machines %v, %d known", hosts, machines, known)
	}
	row, err := v.Host(t.Context(), uuid(3))
	if err != nil || row.DeclaredDead == nil || row.DeclaredDead.Why != "burnt" || row.Reachability != fleet.ReachUnreachable {
		t.Errorf("host %+v, %v", row.DeclaredDead, err)
	}
	if in := get(t, v, instance(3, "").ID); !in.HostDeclaredDead {
		t.Error("its machine does not say so")
	}
	if in := get(t, v, instance(1, "").ID); in.HostDeclaredDead {
		t.Error("a machine of another host says so")
	}

	// Its machine was made anew: that one owns the id, running or not.
	anew := instance(3, "vm-c")
	anew.Power, anew.Generation = fleet.PowerStopped, 2
	m.change(uuid(2), func(s *mesh.State) { s.Instances = append(s.Instances, anew) })
	if in := get(t, v, anew.ID); in.Host != uuid(2) {
		t.Errorf("the machine is said to be on %v", in.Host)
	}

	// Should it be heard for a moment in the life that was given up, it is still
	// proposed nothing.
	m.member(uuid(3), fleet.MemberAlive)
	if picked, ok := v.Pick(&fleet.Request{Host: uuid(3)}, nil); ok {
		t.Errorf("%v was proposed", picked)
	}
	m.origins[uuid(3)].Begin(2, 78)
	m.change(uuid(3), func(*mesh.State) {})
	if row, err := v.Host(t.Context(), uuid(3)); err != nil || row.DeclaredDead != nil {
		t.Errorf("back in a later epoch it is %+v, %v", row.DeclaredDead, err)
	}
	if _, ok := v.Pick(&fleet.Request{Host: uuid(3)}, nil); !ok {
		t.Error("back in a later epoch it is not proposed")
	}
}

func TestHostThatOnlyGossipKnowsCanBeForgotten(t *testing.T) {
	m, v := lost(t)
	m.member(uuid(9), fleet.MemberFailed)
	if _, _, known := shown(t, v); known != 4 {
		t.Fatalf("%d known before", known)
	}
	if subject, err := v.Deciding(uuid(9)); err != nil || subject.Version != (fleet.Version{Host: uuid(9)}) {
		t.Errorf("subject %+v, %v", subject, err)
	}
	m.change(uuid(1), func(s *mesh.State) { s.Records = []fleet.Record{word(fleet.Forget, uuid(9), 0)} })
	if _, _, known := shown(t, v); known != 3 {
		t.Errorf("%d known after", known)
	}
	m.member(uuid(9), fleet.MemberAlive) // its block is on its way, of whatever epoch
	if _, _, known := shown(t, v); known != 4 {
		t.Errorf("%d known when it is back", known)
	}
}

func TestRecordsAreListedWithWhatTheyDo(t *testing.T) {
	m, v := lost(t)
	dead, gone, spent := word(fleet.DeclareDead, uuid(3), 1), word(fleet.Forget, uuid(3), 1), word(fleet.DeclareDead, uuid(2), 0)
	m.change(uuid(1), func(s *mesh.State) { s.Records = []fleet.Record{dead, gone} })
	m.change(uuid(2), func(s *mesh.State) { s.Records = []fleet.Record{gone, spent} })
	want := map[fleet.RecordID]fleet.RecordStanding{dead.ID: fleet.RecordSuperseded, gone.ID: fleet.RecordStands, spent.ID: fleet.RecordSpent}
	got := map[fleet.RecordID]fleet.RecordStanding{}
	q := fleet.RecordQuery{Limit: 1}
	for pages := 1; ; pages++ {
		page, err := v.Records(t.Context(), q)
		if err != nil || len(page.Items) != 1 || page.Coverage.Known != 2 {
			t.Fatalf("page %+v, %v", page, err)
		}
		row := page.Items[0]
		got[row.ID] = row.Standing
		if row.ID == gone.ID && !slices.Equal(row.Holders, []fleet.HostID{uuid(1), uuid(2)}) {
			t.Errorf("held by %v", row.Holders)
		}
		if page.Next == "" {
			break
		}
		if q.Marker = row.ID; pages > 3 {
			t.Fatal("the list has no end")
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("standings %v, want %v", got, want)
	}
	if page, err := v.Records(t.Context(), fleet.RecordQuery{Subject: uuid(2)}); err != nil || len(page.Items) != 1 || page.Items[0].ID != spent.ID {
		t.Errorf("about one host: %+v, %v", page.Items, err)
	}
	if _, err := v.Records(t.Context(), fleet.RecordQuery{Limit: fleet.MaxPage + 1}); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("a limit that is too high: %v", err)
	}
}
