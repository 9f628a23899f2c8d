package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// ImportImage implements api.Writer: the host stores the image and then says
// that it holds it.
func (a *Agent) ImportImage(ctx context.Context, host fleet.HostID, im fleet.Image, content io.Reader) (fleet.Image, error) {
	if !host.IsZero() && host != a.hostID {
		return fleet.Image{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s), and it stores images only there; ask a registry, or the agent of host %s", a.name(), a.hostID, host)
	}
	if err := im.Validate(); err != nil {
		return fleet.Image{}, err
	}
	store, ok := a.driver.(drivers.ImageStore)
	if !ok {
		return fleet.Image{}, errorf(fleet.CodeUnsupported, "host %s stores no images", a.name())
	}
	if err := a.importImage(ctx, store, im, content); err != nil {
		return fleet.Image{}, driverError(fmt.Sprintf("import image %q at host %s", im.Name, a.name()), err)
	}
	held, err := a.image(im.ID)
	if err != nil {
		return fleet.Image{}, errorf(fleet.CodeInternal, "%v", err)
	}
	held.Hosts = []fleet.HostID{a.hostID}
	return held, nil
}

// importImage stores what is uploaded, as it comes, or by way of the spool where
// its disk has to be converted.
func (a *Agent) importImage(ctx context.Context, store drivers.ImageStore, im fleet.Image, content io.Reader) error {
	a.renamed(ctx, &im)
	if disk, ok := im.File(fleet.RoleDisk); ok && !a.takes(disk.Format) {
		if _, err := a.image(im.ID); err == nil {
			return nil
		}
		files, drop, err := a.spoolUpload(&im, content)
		if err != nil {
			return err
		}
		_, err = a.keep(ctx, im, files)
		return errors.Join(err, drop())
	}
	im.CreatedAt = time.Now()
	if err := store.ImportImage(ctx, im, content); err != nil {
		return err
	}
	if err := a.observer.LookImages(ctx); err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	a.publish()
	return nil
}

// renamed gives an image that is made here the name that the fleet has for its
// content, where it has that: an image is its content, and has one name.
func (a *Agent) renamed(ctx context.Context, im *fleet.Image) {
	if known, err := a.Image(ctx, im.ID); err == nil {
		im.Name = known.Name
	}
}

// image returns an image that the host holds.
func (a *Agent) image(id string) (fleet.Image, error) {
	for _, im := range a.observer.Images() {
		if im.ID == id {
			return im, nil
		}
	}
	return fleet.Image{}, fmt.Errorf("image %.12s is not at this host any more", id)
}
