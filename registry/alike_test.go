package registry

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"grapevine/fleet"
)

// neighbours are registries in a mesh that says what a test says.
type neighbours struct {
	members []fleet.Member
	told    []fleet.Alike
	fails   error
}

func (n *neighbours) Members() []fleet.Member { return append([]fleet.Member{}, n.members...) }

func (n *neighbours) Tell(a fleet.Alike) error {
	if n.fails == nil {
		n.told = append(n.told, a)
	}
	return n.fails
}

// differing is what the metric shows.
func differing(t *testing.T, counts *metrics, of string) float64 {
	t.Helper()
	families, err := counts.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "grapevine_registry_differing_registries" && m.GetLabel()[0].GetValue() == of {
				return m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func TestRegistriesThatDifferForAMinuteAreFound(t *testing.T) {
	cfg, counts := Default(), newMetrics()
	u, err := openUsers(usersFile(t, someUsers), slog.New(slog.DiscardHandler), counts)
	if err != nil {
		t.Fatal(err)
	}
	self := fleet.UUID{1}
	n := &neighbours{}
	a := newAlike(&cfg, self, u, n, slog.New(slog.DiscardHandler), counts)
	own := a.own()
	if own.UsersFile != u.book().Hash()[:fleet.AlikeDigits] || len(own.Settings) != fleet.AlikeDigits {
		t.Fatalf("has %+v", own)
	}
	is := func(id byte, role fleet.Role, status fleet.MemberStatus, has fleet.Alike) fleet.Member {
		return fleet.Member{ID: fleet.UUID{id}, Name: string('a' + rune(id)), Role: role, Status: status, Alike: has}
	}
	other := fleet.Alike{UsersFile: "none", Settings: own.Settings}
	n.members = []fleet.Member{
		is(1, fleet.RoleRegistry, fleet.MemberAlive, fleet.Alike{}),                                             // this one
		is(2, fleet.RoleRegistry, fleet.MemberAlive, own),                                                       // the same
		is(3, fleet.RoleRegistry, fleet.MemberAlive, fleet.Alike{}),                                             // an older release
		is(4, fleet.RoleRegistry, fleet.MemberFailed, other),                                                    // not there
		is(5, fleet.RoleAgent, fleet.MemberAlive, other),                                                        // none
		is(6, fleet.RoleRegistry, fleet.MemberAlive, other),                                                     // differs
		is(7, fleet.RoleRegistry, fleet.MemberAlive, fleet.Alike{UsersFile: own.UsersFile, Settings: "000000"}), // as well
	}
	begin := time.Unix(1000, 0)
	gauge := func(of string) float64 { return differing(t, counts, of) }
	a.look(begin)
	a.look(begin.Add(fleet.DiffersAfter))
	if found := a.findings(begin.Add(fleet.DiffersAfter)); found != nil || gauge("users_file") != 0 {
		t.Errorf("after a minute %v", found)
	}
	shown := n.Members()
	a.mark(shown, begin.Add(fleet.DiffersAfter))
	for i, want := range []int64{0, 0, 0, 0, 0, 60_000, 60_000} {
		if shown[i].DiffersMS != want {
			t.Errorf("member %d differs for %d ms, want %d", i, shown[i].DiffersMS, want)
		}
	}
	later := begin.Add(fleet.DiffersAfter + time.Second)
	a.look(later)
	found := a.findings(later)
	if len(found) != 2 || found[0].Type != fleet.FindRegistries || found[0].Do == "" || gauge("users_file") != 1 || gauge("settings") != 1 {
		t.Errorf("found %+v, %v and %v", found, gauge("users_file"), gauge("settings"))
	}
	n.members[5].Alike, n.members[6].Status = own, fleet.MemberLeft
	a.look(later)
	if found := a.findings(later); found != nil || gauge("users_file") != 0 || gauge("settings") != 0 {
		t.Errorf("once they are the same: %v", found)
	}
}

func TestRegistryTellsAgainWhatItCouldNotTell(t *testing.T) {
	cfg := Default()
	n := &neighbours{fails: errors.New("nobody hears")}
	a := newAlike(&cfg, fleet.UUID{1}, nil, n, slog.New(slog.DiscardHandler), newMetrics())
	a.tell()
	n.fails = nil
	a.tell()
	a.tell()
	if len(n.told) != 1 || n.told[0].UsersFile != "none" {
		t.Errorf("told %+v, want once that there is no users file", n.told)
	}
}

// Lists that say the same in another order are no difference; all that changes an
// answer is one.
func TestSettingsHashIsOfWhatMustBeTheSame(t *testing.T) {
	base := Default()
	base.UniqueNames = []string{"b", "a"}
	same := base
	same.UniqueNames, same.Name, same.Listen = []string{"a", "b", "a"}, "other", "127.0.0.1:1"
	same.Flavors = append([]fleet.Flavor{}, base.Flavors...)
	same.Flavors[0], same.Flavors[1] = same.Flavors[1], same.Flavors[0]
	if settingsHash(&base) != settingsHash(&same) {
		t.Error("what may differ makes a difference")
	}
	for name, change := range map[string]func(*Config){
		"unique_names": func(c *Config) { c.UniqueNames = nil },
		"oidc":         func(c *Config) { c.OIDC.ClientID = "other" },
		"placement":    func(c *Config) { c.Placement = fleet.Pack },
		"flavors":      func(c *Config) { c.Flavors = append([]fleet.Flavor{}, c.Flavors...); c.Flavors[0].VCPUs++ },
	} {
		changed := base
		change(&changed)
		if settingsHash(&base) == settingsHash(&changed) {
			t.Errorf("%s makes no difference", name)
		}
	}
}
