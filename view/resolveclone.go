package view

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"grapevine/fleet"
)

// resolveClone is Resolve for a clone, as far as the rows tell: the source's host
// knows the rest.
func (v *View) resolveClone(ctx context.Context, c *fleet.Create) (fleet.Request, error) {
	id, err := fleet.ParseUUID(c.Source)
	if err != nil {
		return fleet.Request{}, err
	}
	row, err := v.Instance(ctx, id)
	if err != nil {
		return fleet.Request{}, err
	}
	refuse := func(code fleet.Code, format string, args ...any) (fleet.Request, error) {
		return fleet.Request{}, &fleet.Error{Code: code, Detail: fmt.Sprintf("instance %s: ", id) + fmt.Sprintf(format, args...)}
	}
	if c.Host != "" {
		host, err := v.HostNamed(c.Host)
		if err != nil {
			return fleet.Request{}, err
		}
		if host != row.Host {
			return refuse(fleet.CodeConflict, "it is on host %s, where its clones are made too; make an image of it with: grapevine instance capture, or export and import it", v.HostName(row.Host))
		}
	}
	switch {
	case row.Ownership == fleet.Foreign:
		return refuse(fleet.CodeNotManaged, "it is foreign; adopt it first with: grapevine instance adopt %s", id)
	case !fleet.IsImageID(row.Image):
		return refuse(fleet.CodeUnsupported, "it was adopted and no image is known of it, which a clone would be built on; make one with: grapevine instance capture %s", id)
	}
	req := fleet.Request{
		Name: c.Name, Project: cmp.Or(c.Project, row.Project), Flavor: row.Flavor, Resources: row.Resources(), Image: row.Image,
		Host: row.Host, Source: id, Labels: maps.Clone(c.Labels), Networks: c.Networks, Guest: c.Guest, Booting: c.Booting, Traits: []string{fleet.TraitCopyDisks},
	}
	if err := v.joinGroup(c.Group, &req); err != nil {
		return fleet.Request{}, err
	}
	if len(c.Labels) == 0 {
		req.Labels = maps.Clone(row.Labels)
	}
	for _, nic := range c.Networks {
		if nic.VLAN != 0 && !slices.Contains(req.Traits, fleet.TraitVLAN) {
			req.Traits = append(req.Traits, fleet.TraitVLAN)
		}
	}
	if !c.Guest.IsZero() {
		req.Traits = append(req.Traits, traitCloudInit)
	}
	return req, nil
}

// furtherDisks turns the names of images into ids, and gives disks that begin as
// images the size of those, where they are not to be larger.
func (v *View) furtherDisks(asked []fleet.Disk) ([]fleet.Disk, error) {
	disks := slices.Clone(asked)
	for i := range disks {
		if disks[i].Image == "" {
			continue
		}
		im, err := v.image(disks[i].Image, fleet.CodeUnknownImage)
		if err != nil {
			return nil, err
		}
		if _, ok := im.File(fleet.RoleDisk); !ok {
			return nil, &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("image %s has no disk that a further disk could begin as", im.Name)}
		}
		disks[i].Image, disks[i].SizeGiB = im.ID, max(disks[i].SizeGiB, im.DiskGiB())
	}
	return disks, nil
}
