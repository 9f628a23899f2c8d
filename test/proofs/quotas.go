package proofs

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// taken is what counts against a quota here.
type taken struct{ instances, disk int64 }

func (t taken) plus(o taken) taken  { return taken{t.instances + o.instances, t.disk + o.disk} }
func (t taken) minus(o taken) taken { return taken{t.instances - o.instances, t.disk - o.disk} }

// fits reports whether there is no more than this of either.
func (t taken) fits(in taken) bool {
	return t.instances <= max(in.instances, 0) && t.disk <= max(in.disk, 0)
}

// purse is a fleet whose default project has a quota, and what it has of that.
type purse struct {
	*World
	quota, has taken
}

// wish is something that takes of the quota, asked of one registry.
type wish struct {
	at   *Registry
	of   taken
	want func(context.Context, *client.Client) (fleet.Accepted, error)
}

// limit starts registries at which the default project has a quota.
func (w *World) limit(registries int, quota taken) *purse {
	w.t.Helper()
	file := filepath.Join(w.dir, "users.toml")
	text := fmt.Sprintf("[[projects]]\nname = \"default\"\n[projects.quota]\ninstances = %d\ndisk_gib = %d\n", quota.instances, quota.disk)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	for n := range registries {
		r := w.newRegistry(n)
		r.users = file
		r.Start()
		w.Registries = append(w.Registries, r)
	}
	w.Await(time.Minute, "every registry hears every host and its image", w.heard)
	return &purse{World: w, quota: quota}
}

// free is what there is room for by what all have heard.
func (p *purse) free() taken { return p.quota.minus(p.has) }

// grant sends wishes, all at once, and returns what was promised. What is refused must
// be so by the quota, and truly; no registry may promise more than was free.
func (p *purse) grant(what string, wishes ...wish) (sum taken) {
	p.t.Helper()
	granted := map[*Registry]taken{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, wish := range wishes {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err := wish.want(ctx, wish.at.Client)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				p.checkOver(err)
				return
			}
			granted[wish.at] = granted[wish.at].plus(wish.of)
		})
	}
	all.Wait()
	for r, got := range granted {
		sum = sum.plus(got)
		if !got.fits(p.free()) {
			p.t.Errorf("%s: %s promised %+v, and %+v were free", what, r.Name, got, p.free())
		}
	}
	p.t.Logf("%s: %+v were free, %d wishes were promised %+v", what, p.free(), len(wishes), sum)
	p.has = p.has.plus(sum)
	return sum
}

// checkOver complains of a refusal that is not by the quota, or not by what it says.
func (p *purse) checkOver(err error) {
	p.t.Helper()
	e, _ := err.(*fleet.Error) //nolint:errorlint // that of a client is not wrapped
	if e == nil || e.Code != fleet.CodeRefused || len(e.Refusals) == 0 {
		p.t.Errorf("refused by %v, want the quota to do so", err)
		return
	}
	limits := map[string]int64{"instances": p.quota.instances, "disk_gib": p.quota.disk}
	for _, r := range e.Refusals {
		if r.Code != fleet.RefuseQuota || r.Limit != limits[r.Resource] || r.Used+r.Need <= r.Limit {
			p.t.Errorf("the refusal %+v is not true of a quota of %+v", r, p.quota)
		}
	}
}

// machines is what the managed machines of all hypervisors take.
func (p *purse) machines() (sum taken) {
	for _, h := range p.Hosts {
		for _, m := range h.Hypervisor.Machines() {
			if m.Mark != nil {
				sum = sum.plus(taken{1, m.Resources.DiskGiB})
			}
		}
	}
	return sum
}

// settle waits until all that was promised is there and every registry has heard of it.
func (p *purse) settle() {
	p.t.Helper()
	p.Await(2*time.Minute, "every registry counts what was promised", func() error {
		if got := p.machines(); got != p.has {
			return fmt.Errorf("there are %+v, and promised were %+v", got, p.has)
		}
		for _, r := range p.Registries {
			if !r.Up() {
				continue
			}
			if err := r.counts(p.t.Context(), p.has); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
		}
		return nil
	})
}

// counts says what else than this a registry shows of the project.
func (r *Registry) counts(ctx context.Context, has taken) error {
	list, err := r.Client.Instances(ctx, fleet.InstanceQuery{})
	if err != nil {
		return err
	}
	for _, row := range list.Items {
		if row.Task != fleet.TaskNone || row.Fault != "" {
			return fmt.Errorf("%s is %s: %s", row.Name, row.Task, row.Fault)
		}
	}
	projects, err := r.Client.Projects(ctx)
	if err != nil || len(projects.Items) != 1 {
		return fmt.Errorf("projects %+v: %w", projects.Items, err)
	}
	used := projects.Items[0].Used
	if got := (taken{used["instances"], used["disk_gib"]}); got != has {
		return fmt.Errorf("it counts %+v, and there are %+v", got, has)
	}
	return nil
}

// full fails if a registry that has heard of all promises anything more.
func (p *purse) full(what string, more func(*Registry, int) wish) {
	p.t.Helper()
	p.settle()
	for n, r := range p.Registries {
		if got := p.grant(what+", once more", more(r, n)); got != (taken{}) {
			p.t.Errorf("%s: %s promises %+v more", what, r.Name, got)
		}
	}
}

// leave deletes instances until so many are left, those that were adopted first, and
// takes from these what disks they have had attached. It returns their ids.
func (p *purse) leave(count int) (left []fleet.InstanceID) {
	p.t.Helper()
	p.settle()
	at := p.Registries[0].Client
	list, err := at.Instances(p.t.Context(), fleet.InstanceQuery{Project: fleet.DefaultProject})
	if err != nil {
		p.t.Fatal(err)
	}
	slices.SortStableFunc(list.Items, func(a, b fleet.Instance) int { return cmp.Compare(b.Flavor, a.Flavor) })
	for i, row := range list.Items {
		if i >= count {
			_, err = at.DeleteInstance(p.t.Context(), row.ID, time.Minute)
		} else {
			left = append(left, row.ID)
			detach := fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "disk-1"}
			_, err = at.ChangeDevice(p.t.Context(), row.ID, detach, time.Minute)
		}
		if err != nil && fleet.CodeOf(err) != fleet.CodeNotFound {
			p.t.Fatal(err)
		}
	}
	p.has = taken{int64(count), int64(count)}
	p.settle()
	return left
}
