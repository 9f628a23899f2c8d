package proofs

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// instance wishes for one more, which has a disk of a GiB.
func instance(at *Registry, _ int) wish {
	return wish{at, taken{1, 1}, func(ctx context.Context, c *client.Client) (fleet.Accepted, error) {
		return c.CreateInstance(ctx, fleet.Create{Name: "vm", Flavor: "nano", Image: "tiny", Hypervisor: fleet.KVM}, client.CreateOptions{})
	}}
}

// adoption wishes that a machine made by hand is adopted.
func adoption(at *Registry, id fleet.InstanceID) wish {
	return wish{at, taken{1, 1}, func(ctx context.Context, c *client.Client) (fleet.Accepted, error) {
		return c.ActInstance(ctx, id, fleet.Adopt, client.ActOptions{})
	}}
}

// disk wishes for a further one.
func disk(at *Registry, id fleet.InstanceID, gib int64) wish {
	return wish{at, taken{disk: gib}, func(ctx context.Context, c *client.Client) (fleet.Accepted, error) {
		return c.ChangeDevice(ctx, id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: gib}}, 0)
	}}
}

// growth wishes that the further one is larger.
func growth(at *Registry, id fleet.InstanceID, from, to int64) wish {
	return wish{at, taken{disk: to - from}, func(ctx context.Context, c *client.Client) (fleet.Accepted, error) {
		return c.ChangeDevice(ctx, id, fleet.DeviceChange{Verb: fleet.GrowDisk, Name: "disk-1", Device: fleet.AttachRequest{SizeGiB: to}}, 0)
	}}
}

// each is so many wishes, of the registries in turn.
func (p *purse) each(count int, of func(*Registry, int) wish) (all []wish) {
	for n := range count {
		all = append(all, of(p.Registries[n%len(p.Registries)], n))
	}
	return all
}

// TestQuotaOfAFleetIsPassedByNoMoreThanTheBound races creates, adoptions, disks and
// growths through two registries: each promises no more than was free, and once both
// have heard none promises more. One alone does not pass the quota at all; two that
// are cut off from each other pass it by what was free, and no further when that ends.
func TestQuotaOfAFleetIsPassedByNoMoreThanTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 24, 6, 0, fleet.Resources{VCPUs: 64, MemoryMiB: 64 * 128, DiskGiB: 1000})
		p := w.limit(2, taken{instances: 10, disk: 60})
		p.grant("creates", p.each(40, instance)...)
		p.full("creates", instance)
		p.adoptions()
		p.disks()
		p.growths()

		w.Registries[1].Kill()
		p.alone()
		w.Registries[1].Start()
		w.Await(time.Minute, "the other registry is back", w.heard)
		p.full("begun anew", instance)
		p.apart()
	})
}

// adoptions has more machines adopted than there is room for.
func (p *purse) adoptions() {
	p.t.Helper()
	p.leave(6)
	ids := p.aliens(12)
	p.grant("adoptions", p.each(10, func(at *Registry, n int) wish { return adoption(at, ids[n]) })...)
	p.full("adoptions", func(at *Registry, n int) wish { return adoption(at, ids[10+n]) })
}

// disks has more disks attached than there is room for.
func (p *purse) disks() {
	p.t.Helper()
	ids := p.leave(6)
	attach := func(at *Registry, n int) wish { return disk(at, ids[n], 20) }
	p.grant("disks", p.each(6, attach)...)
	p.full("disks", attach)
}

// growths has a disk grown at one registry while the other attaches one.
func (p *purse) growths() {
	p.t.Helper()
	ids := p.leave(3)
	one, other := p.Registries[0], p.Registries[1]
	p.grant("a disk", disk(one, ids[0], 10))
	p.settle()
	gib := p.free().disk
	p.grant("growths", growth(one, ids[0], 10, 10+gib), disk(other, ids[1], gib))
	p.full("growths", func(at *Registry, n int) wish {
		if n == 0 {
			return growth(at, ids[0], 10+gib, 500)
		}
		return disk(at, ids[1], 1)
	})
}

// alone has one registry asked for more than there is room for: it grants just that.
func (p *purse) alone() {
	p.t.Helper()
	one := p.Registries[0]
	ids := p.leave(3)
	wishes := p.each(30, func(*Registry, int) wish { return instance(one, 0) })
	for _, id := range p.aliens(4) {
		wishes = append(wishes, adoption(one, id))
	}
	p.grant("one alone, instances", wishes...)
	if p.settle(); p.has.instances != p.quota.instances {
		p.t.Errorf("one registry alone made it %+v, want %+v", p.has, p.quota)
	}
	half := p.free().disk / 2
	p.grant("one alone, disks", disk(one, ids[0], half), disk(one, ids[1], half), disk(one, ids[2], half))
	if p.settle(); p.free().disk != 0 {
		p.t.Errorf("one registry alone made it %+v, want %+v", p.has, p.quota)
	}
}

// apart has each registry fill its half of a fleet that is cut in two.
func (p *purse) apart() {
	p.t.Helper()
	p.leave(4)
	sideOf := func(n int) int { return n * 2 / len(p.Hosts) }
	var sides [2][]string
	for n, h := range p.Hosts {
		sides[sideOf(n)] = append(sides[sideOf(n)], h.place.name)
	}
	for n, r := range p.Registries {
		sides[n] = append(sides[n], r.place.name)
	}
	p.Cut(sides[0], sides[1])
	p.Await(10*time.Minute, "each registry hears its half", func() error {
		for side, r := range p.Registries {
			for n, h := range p.Hosts {
				want := fleet.ReachUnreachable // one that is only suspect is asked
				if sideOf(n) == side {
					want = fleet.ReachOK
				}
				row, err := r.Client.Host(p.t.Context(), h.ID)
				if err != nil || row.Reachability != want {
					return fmt.Errorf("to %s, %s is %s: %w", r.Name, h.Name, row.Reachability, err)
				}
			}
		}
		return nil
	})
	free := p.free().instances
	if got := p.grant("apart", p.each(40, instance)...); got.instances != 2*free {
		p.t.Errorf("apart they promised %+v, want %d instances each", got, free)
	}
	p.Mend()
	p.Await(10*time.Minute, "all hear all", p.heard)
	p.full("together again", instance)
}

// aliens defines machines that Grapevine did not make, and waits until all know them.
func (p *purse) aliens(count int) (ids []fleet.InstanceID) {
	p.t.Helper()
	for n := range count {
		made := simulated.Foreign{Name: fmt.Sprint("by-hand-", n), Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128, DiskGiB: 1}}
		id, err := p.Hosts[n%len(p.Hosts)].Hypervisor.Define(made)
		if err != nil {
			p.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, r := range p.Registries {
		for _, id := range ids {
			p.Await(time.Minute, "every registry shows what was made by hand", func() error {
				if !r.Up() {
					return nil
				}
				_, err := r.Client.Instance(p.t.Context(), id)
				return err
			})
		}
	}
	return ids
}
