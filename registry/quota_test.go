package registry

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"grapevine/fleet"
	"grapevine/people"
)

// limited is a registry of a world in whose users file are these projects.
func (w *world) limited(projects string) (*core, *news) {
	w.t.Helper()
	c, n := w.registry()
	u, err := openUsers(usersFile(w.t, projects), slog.New(slog.DiscardHandler), newMetrics())
	if err != nil {
		w.t.Fatal(err)
	}
	c.quotas = newQuotas(u, n.replica, c.GivenUp)
	return c, n
}

const twoInstances = "[[projects]]\nname = \"default\"\n[projects.quota]\ninstances = 2\n"

// nano is an instance of the flavor as its host tells of it.
func nano(c *core, id fleet.InstanceID, host fleet.HostID) fleet.Instance {
	size, _ := c.Flavor("nano")
	return fleet.Instance{
		ID: id, Name: "vm", Project: fleet.DefaultProject, Host: host, Ownership: fleet.Managed, Power: fleet.PowerRunning, Hypervisor: fleet.KVM,
		Flavor: "nano", VCPUs: size.VCPUs, MemoryMiB: size.MemoryMiB, DiskGiB: size.DiskGiB,
	}
}

func wantQuota(t *testing.T, err error, resource string) {
	t.Helper()
	e := wantCode(t, err, fleet.CodeRefused)
	r, is := fleet.FindRefusal(e.Refusals, fleet.RefuseQuota)
	if !is || r.Resource != resource || r.Limit == 0 || r.Need == 0 || !strings.Contains(e.Detail, fmt.Sprintf("has %d of at most %d %s, and %d more", r.Used, r.Limit, resource, r.Need)) {
		t.Fatalf("got %+v, want a quota of %s with what is used, asked and allowed", e, resource)
	}
}

func TestQuotaCountsWhatIsHeardAndWhatIsInFlight(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited(twoInstances)
	host := w.agents[0].row
	one := c.Batch()
	made := make(chan fleet.Accepted, 9)
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			accepted, err := one(t.Context(), create(fmt.Sprint("vm-", i), fmt.Sprint("k/", i)))
			if err == nil {
				made <- accepted
			} else {
				wantQuota(t, err, "instances")
			}
		})
	}
	all.Wait()
	close(made)
	if len(made) != 2 || w.agents[0].proposals() != 2 {
		t.Fatalf("%d of 9 were made with %d proposals, want 2 and 2", len(made), w.agents[0].proposals())
	}
	var rows []fleet.Instance
	for accepted := range made {
		rows = append(rows, nano(c, accepted.Instance.ID, host.ID))
	}
	n.publish(host, rows...)
	if got := c.quotas.has(fleet.DefaultProject); got.Instances != 2 || got.VCPUs != 2*rows[0].VCPUs {
		t.Errorf("has %+v", got)
	}
	_, err := c.CreateInstance(t.Context(), create("more", ""))
	wantQuota(t, err, "instances")
	n.publish(host, rows[0])
	w.agents[0].set(func(a *fakeAgent) { a.ahead = 100 })
	if _, err := c.CreateInstance(t.Context(), create("more", "")); err != nil {
		t.Errorf("after one was deleted: %v", err)
	}
	_, err = c.CreateInstance(t.Context(), create("more still", ""))
	wantQuota(t, err, "instances")
}

// What is told before the answer comes is counted once.
func TestQuotaCountsOnceWhatIsHeardBeforeItIsPromised(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited(twoInstances)
	host := w.agents[0].row
	w.agents[0].set(func(a *fakeAgent) {
		a.afterClaim = func(_ context.Context, p fleet.Proposal) {
			n.publish(host, nano(c, p.ID, host.ID))
			if got := c.quotas.judge(p.Project, claim{id: newInstanceID()}, people.Taken{Instances: 1}); got != nil {
				t.Errorf("while it is in flight and heard: %v", got)
			}
		}
	})
	if _, err := c.CreateInstance(t.Context(), create("vm", "")); err != nil {
		t.Fatal(err)
	}
}

func TestKeyedCreateSentAgainIsAnsweredUnderAFullQuota(t *testing.T) {
	w := newWorld(t, 2)
	c, _ := w.limited(twoInstances)
	first, err := c.CreateInstance(t.Context(), create("vm", "a"))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := w.limited("[[projects]]\nname = \"default\"\n[projects.quota]\ninstances = 0\n")
	again, err := other.CreateInstance(t.Context(), create("vm", "a"))
	if err != nil || again.Instance.ID != first.Instance.ID {
		t.Errorf("the same again where nothing is allowed: %v, %v", again.Instance.ID, err)
	}
	_, err = other.CreateInstance(t.Context(), create("vm", "b"))
	wantCode(t, err, fleet.CodeRefused)
}

// Registries that hear nothing of each other make at most what each may; once they
// have heard, none makes more.
func TestQuotaIsPassedByNoMoreThanOtherRegistriesHaveInFlight(t *testing.T) {
	w := newWorld(t, 1)
	host := w.agents[0].row
	var rows []fleet.Instance
	var cores []*core
	var heard []*news
	for range 3 {
		c, n := w.limited(twoInstances)
		cores, heard = append(cores, c), append(heard, n)
	}
	for _, c := range cores {
		for range 4 {
			if accepted, err := c.CreateInstance(t.Context(), create("vm", "")); err == nil {
				rows = append(rows, nano(c, accepted.Instance.ID, host.ID))
			} else {
				wantQuota(t, err, "instances")
			}
		}
	}
	if len(rows) != 3*2 {
		t.Fatalf("%d were made by 3 registries that each may 2, want 6", len(rows))
	}
	for i, c := range cores {
		heard[i].publish(host, rows...)
		_, err := c.CreateInstance(t.Context(), create("vm", ""))
		wantQuota(t, err, "instances")
	}
}

func TestQuotaJudgesResizesAndClones(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited("[[projects]]\nname = \"default\"\nnetwork = \"lan\"\n[projects.quota]\nmemory_mib = 1000\n")
	host := w.agents[0].row
	host.Traits = append(host.Traits, fleet.TraitCopyDisks)
	host.Networks = []string{"lan"}
	row := nano(c, newInstanceID(), host.ID)
	row.MemoryMiB, row.Image = 600, w.image.ID
	n.publish(host, row)
	_, err := c.ResizeInstance(t.Context(), row.ID, "medium")
	wantQuota(t, err, "memory_mib")
	if _, err := c.ResizeInstance(t.Context(), row.ID, "nano"); err != nil {
		t.Errorf("to less: %v", err)
	}
	clone := create("clone", "")
	clone.Create = fleet.Create{Name: "clone", Source: row.ID.String()}
	if got := c.inProject(clone.Create).Networks; got != nil {
		t.Errorf("a clone, which has the cards of its source, gets %v", got)
	}
	_, err = c.CreateInstance(t.Context(), clone)
	wantQuota(t, err, "memory_mib")
	_, err = c.Explain(t.Context(), clone.Create)
	wantQuota(t, err, "memory_mib")
}

func TestProjectGivesTheNetworkToThoseThatNameNone(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited("[[projects]]\nname = \"default\"\nnetwork = \"lan\"\n")
	host := w.agents[0].row
	host.Networks = []string{"lan", "dmz"}
	n.publish(host)
	var got []fleet.NIC
	w.agents[0].set(func(a *fakeAgent) {
		a.beforeClaim = func(_ context.Context, p fleet.Proposal) { got = p.Networks }
	})
	for _, tt := range []struct {
		project, ask, want string
	}{{"", "", "lan"}, {"", "dmz", "dmz"}, {"", fleet.NoNetwork, fleet.NoNetwork}, {"another", "", ""}} {
		in := create("vm", "")
		in.Create.Project = tt.project
		if tt.ask != "" {
			in.Create.Networks = []fleet.NIC{{Network: tt.ask}}
		}
		if _, err := c.CreateInstance(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || got[0].Network != tt.want) {
			t.Errorf("asked for %q in %q: %v, want %q", tt.ask, tt.project, got, tt.want)
		}
	}
}

// However news comes, an account has what a look at all rows finds.
func TestAccountHasWhatTheRowsSay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	w := newWorld(t, 0)
	c, n := w.limited("[[projects]]\nname = \"default\"\n[[projects]]\nname = \"shop\"\n")
	want := map[string]map[fleet.HostID]int64{fleet.DefaultProject: {}, "shop": {}}
	for step := range 400 {
		host := fleet.Host{ID: fleet.UUID{byte(rng.IntN(90)), 15: 1}, Name: "h", Hypervisor: fleet.KVM, State: fleet.HostOK}
		var rows []fleet.Instance
		for project := range want {
			want[project][host.ID] = 0
		}
		for range rng.IntN(5) {
			row := nano(c, newInstanceID(), host.ID)
			row.Project = []string{fleet.DefaultProject, "shop"}[rng.IntN(2)]
			switch rng.IntN(4) {
			case 0:
				row.Ownership = fleet.Foreign
			case 1:
				row.SupersededBy = fleet.UUID{99}
			default:
				want[row.Project][host.ID]++
			}
			rows = append(rows, row)
		}
		n.publish(host, rows...)
		if step%(1+step/4) != 0 && step < 390 {
			continue // asked ever more seldom, so that many hosts have changed
		}
		l := &login{users: c.quotas.users, has: c.quotas.has}
		shown, err := l.Projects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range shown {
			sum := int64(0)
			for _, has := range want[p.Name] {
				sum += has
			}
			if p.Used["instances"] != sum || len(p.Used) != 4 {
				t.Fatalf("step %d: project %s has %v, want %d", step, p.Name, p.Used, sum)
			}
		}
	}
}
