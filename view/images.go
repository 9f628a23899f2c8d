package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"grapevine/fleet"
)

// Images returns every image that some host holds, once, with its holders,
// ordered by name, then id. Holders that cannot be heard are listed too.
func (v *View) Images(context.Context) (fleet.List[fleet.Image], error) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := fleet.List[fleet.Image]{Items: make([]fleet.Image, 0, len(v.images.holders)), Coverage: v.coverage}
	for id := range v.images.holders {
		im, _ := v.images.get(id)
		out.Items = append(out.Items, im)
	}
	slices.SortFunc(out.Items, func(a, b fleet.Image) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

// ImageSources returns the hosts that hold the image, give it to others and can
// be heard, in the order of their ids. Self is not among them.
func (v *View) ImageSources(id string) []fleet.HostID {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	im, _ := v.images.get(id)
	return slices.DeleteFunc(im.Hosts, func(host fleet.HostID) bool { return !v.gives(host, id) })
}

// Obtainable returns the trait that a host must have to get the image from one
// of its holders; empty where none of them can give it.
func (v *View) Obtainable(im *fleet.Image) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if slices.ContainsFunc(im.Hosts, func(host fleet.HostID) bool { return v.gives(host, im.ID) }) {
		return fleet.ObtainTrait(im)
	}
	return ""
}

// gives reports whether a host other than this one can be heard, has the image
// as it was imported, and gives its images to others. The caller holds mu.
func (v *View) gives(id fleet.HostID, image string) bool {
	if id == v.cfg.Self || !v.standings[id].heard() || v.images.holders[image][id].Stored != nil {
		return false
	}
	b := v.cfg.Source.Replica().Block(id)
	if b == nil {
		return false
	}
	host, ok := b.Host()
	return ok && host.HasTrait(fleet.TraitImageSource)
}

// Image returns the image that a person means: by id, or by a name that only
// one digest has.
func (v *View) Image(_ context.Context, idOrName string) (fleet.Image, error) {
	return v.image(idOrName, fleet.CodeNotFound)
}

// ImageNamed returns the image with this id, or with this name where only one
// has it.
func (v *View) ImageNamed(_ context.Context, idOrName string) (fleet.Image, error) {
	return v.image(idOrName, fleet.CodeUnknownImage)
}

// NameImage puts the id in the place of an image's name, where there is one.
func (v *View) NameImage(image *string) error {
	if *image == "" {
		return nil
	}
	im, err := v.image(*image, fleet.CodeUnknownImage)
	if err == nil {
		*image = im.ID
	}
	return err
}

// image is ImageNamed with the code to use where there is none.
func (v *View) image(idOrName string, missing fleet.Code) (fleet.Image, error) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	if im, ok := v.images.get(idOrName); ok {
		return im, nil
	}
	ids := v.images.withName(idOrName)
	switch len(ids) {
	case 0:
		return fleet.Image{}, &fleet.Error{Code: missing, Detail: fmt.Sprintf("image %.80q is neither the id nor the name of an image that a host holds; list them with: grapevine image list", idOrName)}
	case 1:
		im, _ := v.images.get(ids[0])
		return im, nil
	default:
		return fleet.Image{}, &fleet.Error{
			Code: fleet.CodeAmbiguous, Candidates: ids,
			Detail: fmt.Sprintf("%d images are named %q; give the id of one", len(ids), idOrName),
		}
	}
}
