package view

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"grapevine/fleet"
	"grapevine/placement"
)

// The traits that a host must have to boot an image, and to tell its guest who
// it is. Drivers report them among
// their features; traits are words on the wire, so they are written out here.
const (
	traitBootKernel = "boot-kernel"
	traitBootDisk   = "boot-disk"
	traitBootISO    = "boot-iso"
	traitCloudInit  = "cloud-init"
	traitDevices    = "devices"
)

// Flavors returns the configured flavors, ordered by size: memory, then vCPUs,
// then name.
func (v *View) Flavors(context.Context) (fleet.List[fleet.Flavor], error) {
	v.refresh()
	items := slices.Clone(v.cfg.Flavors)
	slices.SortFunc(items, func(a, b fleet.Flavor) int {
		return cmp.Or(cmp.Compare(a.MemoryMiB, b.MemoryMiB), cmp.Compare(a.VCPUs, b.VCPUs), strings.Compare(a.Name, b.Name))
	})
	v.mu.RLock()
	defer v.mu.RUnlock()
	return fleet.List[fleet.Flavor]{Items: items, Coverage: v.coverage}, nil
}

// Resolve turns the names in a create into numbers, digests and ids. The
// request has no instance id yet. It promises nothing: what the names mean now
// is what the request keeps.
func (v *View) Resolve(ctx context.Context, c fleet.Create) (fleet.Request, error) {
	if err := c.Validate(); err != nil {
		return fleet.Request{}, err
	}
	if err := v.useKeyPair(&c); err != nil {
		return fleet.Request{}, err
	}
	if c.Source != "" {
		return v.resolveClone(ctx, &c)
	}
	disks, err := v.furtherDisks(c.Disks)
	if err != nil {
		return fleet.Request{}, err
	}
	c.Disks = disks
	req := fleet.Request{
		Name: c.Name, Project: c.Project, Flavor: c.Flavor,
		Hypervisor: c.Hypervisor, Zone: c.Zone, Labels: maps.Clone(c.Labels), HostLabels: maps.Clone(c.HostLabels),
		Networks: c.Networks, Disks: c.Disks, Firmware: c.Firmware, Guest: c.Guest, Booting: c.Booting,
	}
	if req.Project == "" {
		req.Project = fleet.DefaultProject
	}
	if err := v.joinGroup(c.Group, &req); err != nil {
		return fleet.Request{}, err
	}
	flavor, err := v.Flavor(c.Flavor)
	if err != nil {
		return fleet.Request{}, err
	}
	req.Resources = flavor.Resources
	image, err := v.image(c.Image, fleet.CodeUnknownImage)
	if err != nil {
		return fleet.Request{}, err
	}
	req.Image = image.ID
	req.Obtain = v.Obtainable(&image)
	req.Traits = []string{BootTrait(&image)}
	for _, nic := range c.Networks {
		if nic.VLAN != 0 && !slices.Contains(req.Traits, fleet.TraitVLAN) {
			req.Traits = append(req.Traits, fleet.TraitVLAN)
		}
	}
	if len(c.Disks) > 0 {
		req.Traits = append(req.Traits, traitDevices)
	}
	if slices.ContainsFunc(c.Disks, func(d fleet.Disk) bool { return d.Image != "" }) {
		req.Traits = append(req.Traits, fleet.TraitCopyDisks)
	}
	if c.Firmware == fleet.UEFI {
		req.Traits = append(req.Traits, fleet.TraitUEFI)
	}
	if !c.Guest.IsZero() {
		req.Traits = append(req.Traits, traitCloudInit)
	}
	for _, trait := range c.Traits {
		if !slices.Contains(req.Traits, trait) {
			req.Traits = append(req.Traits, trait)
		}
	}
	if err := fleet.CheckTraits(req.Traits); err != nil {
		return fleet.Request{}, err
	}
	req.DiskGiB = max(req.DiskGiB, image.DiskGiB()) + fleet.DisksGiB(c.Disks)
	if c.Host != "" {
		if req.Host, err = v.HostNamed(c.Host); err != nil {
			return fleet.Request{}, err
		}
	}
	return req, nil
}

// Flavor returns the flavor with this name.
func (v *View) Flavor(name string) (fleet.Flavor, error) {
	names := make([]string, 0, len(v.cfg.Flavors))
	for _, f := range v.cfg.Flavors {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return fleet.Flavor{}, &fleet.Error{
		Code:   fleet.CodeUnknownFlavor,
		Detail: fmt.Sprintf("flavor %.80q is not known here; use one of %s", name, strings.Join(names, ", ")),
	}
}

// BootTrait returns the trait that a host must have to boot the image: a
// kernel is booted directly, whether or not there is a disk beside it.
func BootTrait(im *fleet.Image) string {
	if _, ok := im.File(fleet.RoleKernel); ok {
		return traitBootKernel
	}
	if _, ok := im.File(fleet.RoleISO); ok {
		return traitBootISO
	}
	return traitBootDisk
}

// Explain is a dry run of a create: where it would go, and why every other
// host refuses. It promises nothing.
func (v *View) Explain(ctx context.Context, c fleet.Create) (fleet.Explanation, error) {
	req, err := v.Resolve(ctx, c)
	if err != nil {
		return fleet.Explanation{}, err
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	v.rngMu.Lock()
	defer v.rngMu.Unlock()
	v.gather(&req)
	if req.Group.Policy == fleet.Affinity {
		req.Group.Anchor = mostMembers(req.Group.Members) // as far as rows tell
	}
	e := v.index.Explain(&req, v.cfg.Placement, v.rng)
	e.Coverage = v.coverage
	return e, nil
}

// Pick proposes a host for the request, as placement.Index.Pick does.
func (v *View) Pick(req *fleet.Request, exclude map[fleet.HostID]bool) (fleet.HostID, bool) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	v.rngMu.Lock()
	defer v.rngMu.Unlock()
	v.gather(req)
	return v.index.Pick(req, v.cfg.Placement, exclude, v.rng)
}

// PickBeside is Pick beside what else was just proposed, as
// placement.Index.PickBeside does.
func (v *View) PickBeside(req *fleet.Request, exclude map[fleet.HostID]bool, taken []placement.Taken) (fleet.HostID, bool) {
	v.refresh()
	v.mu.Lock() // the index is another while it chooses
	defer v.mu.Unlock()
	v.rngMu.Lock()
	defer v.rngMu.Unlock()
	v.gather(req)
	return v.index.PickBeside(req, v.cfg.Placement, exclude, taken, v.rng)
}

// Verdicts says why no host takes the request: those in refused in their own
// words, every other as this node sees it. It is ordered by host name.
func (v *View) Verdicts(req *fleet.Request, refused map[fleet.HostID]fleet.Verdict) []fleet.Verdict {
	exclude := make(map[fleet.HostID]bool, len(refused))
	for id := range refused {
		exclude[id] = true
	}
	v.mu.RLock()
	v.gather(req)
	out := v.index.Verdicts(req, v.cfg.Placement, exclude)
	v.mu.RUnlock()
	for _, verdict := range refused {
		out = append(out, verdict)
	}
	placement.Order(out)
	return out
}

// Merge gives placement the fresh row that came with a host's refusal, so that
// the next pick, of whoever, does not rest on what was just refused. Readers
// see it when the mesh brings it. The row may leave out the images, which are
// rows of their own; those that the mesh told of then stay.
func (v *View) Merge(host fleet.Host) {
	b := v.cfg.Source.Replica().Block(host.ID)
	if b == nil {
		return
	}
	v.refresh()
	v.mu.Lock()
	defer v.mu.Unlock()
	if held, ok := b.Host(); ok && len(host.Images) == 0 {
		host.Images = held.Images
	}
	v.overlay(&host, v.cfg.Now())
	v.index.Update(&host)
}
