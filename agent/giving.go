package agent

import (
	"context"
	"io"
	"slices"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

// maxReaders bounds how many ranges of images the host gives at once: on ESXi
// and libvirt each is a connection to the hypervisor's daemon.
const maxReaders = 16

// giving counts the ranges that are being read.
type giving chan struct{}

// enter takes a place, if there is one; the caller calls leave, once or more.
func (g giving) enter() (leave func(), ok bool) {
	select {
	case g <- struct{}{}:
		return sync.OnceFunc(func() { <-g }), true
	default:
		return nil, false
	}
}

// ImageFile implements api.Node.
func (a *Agent) ImageFile(_ context.Context, id string, role fleet.ImageRole) (fleet.ImageFile, error) {
	if disk, _, ok := a.leavingDisk(id); ok && role == fleet.RoleDisk {
		return disk, nil
	}
	if _, err := a.imageReader(); err != nil {
		return fleet.ImageFile{}, err
	}
	im, err := a.image(id)
	if err != nil {
		return fleet.ImageFile{}, errorf(fleet.CodeNotFound, "host %s does not hold image %.12s", a.name(), id)
	}
	if im.Stored != nil {
		return fleet.ImageFile{}, errorf(fleet.CodeNotFound, "host %s has image %.12s only as it has converted it, to %s", a.name(), id, im.Stored.Format)
	}
	f, ok := im.File(role)
	if !ok {
		return fleet.ImageFile{}, errorf(fleet.CodeNotFound, "image %.12s has no %.20s", id, string(role))
	}
	return f, nil
}

// ReadImage implements api.Node.
func (a *Agent) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	_, path, moves := a.leavingDisk(id)
	reader, err := a.imageReader()
	if err != nil && !moves {
		return nil, err
	}
	leave, ok := a.giving.enter()
	if !ok {
		return nil, errorf(fleet.CodeTooMany, "host %s gives images to %d readers already; try again in a moment", a.name(), maxReaders)
	}
	if moves && role == fleet.RoleDisk {
		return openRange(path, offset, length, leave)
	}
	content, err := reader.ReadImage(ctx, id, role, offset, length)
	if err != nil {
		leave()
		return nil, driverError("read image", err)
	}
	return &given{content, leave}, nil
}

func (a *Agent) imageReader() (drivers.ImageReader, error) {
	reader, ok := a.driver.(drivers.ImageReader)
	if d := a.observer.Description(); !ok || !slices.Contains(d.Features, drivers.FeatureImageSource) {
		return nil, errorf(fleet.CodeUnsupported, "host %s does not give its images to others", a.name())
	}
	return reader, nil
}

// given is a range that is being read.
type given struct {
	io.ReadCloser
	leave func()
}

// Close implements io.Closer.
func (g *given) Close() error {
	defer g.leave()
	return g.ReadCloser.Close()
}
