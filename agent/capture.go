package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// CaptureInstance implements api.Writer for the machines of this host.
func (a *Agent) CaptureInstance(ctx context.Context, id fleet.InstanceID, req fleet.CaptureInstance) (fleet.Accepted, error) {
	if err := req.Validate(); err != nil {
		return fleet.Accepted{}, err
	}
	if _, err := a.diskReader(); err != nil {
		return fleet.Accepted{}, err
	}
	w := &work{verb: fleet.VerbCapture, imageName: req.ImageName}
	return a.begin(ctx, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		_, built := picture.Machines[id]
		return idle(row, built)
	})
}

// capture makes an image of a machine: its first disk as it is, and what it boots
// beside. An image of the same content that is there already is the one.
func (a *Agent) capture(ctx context.Context, op *journal.Operation) error {
	flight, landed := a.shelf.download(op.ID)
	defer landed()
	name := "capture-" + op.Instance.String()
	folder, err := a.spool.Fresh(name)
	if err != nil {
		return err
	}
	im, err := a.captured(ctx, op, folder, flight)
	if err == nil {
		a.state.mu.Lock()
		op.Image, op.ImageName = im.ID, im.Name
		a.state.mu.Unlock()
	}
	if err := errors.Join(err, a.spool.Remove(name)); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

func (a *Agent) captured(ctx context.Context, op *journal.Operation, folder string, flight *flight) (fleet.Image, error) {
	files := imageFiles{fleet.RoleDisk: filepath.Join(folder, string(fleet.RoleDisk))}
	im, err := a.booted(ctx, op.Instance, files, folder)
	if err != nil {
		return fleet.Image{}, err
	}
	im.Name = op.ImageName
	disk, err := a.readOut(ctx, op.Instance, drivers.DiskName(0), files[fleet.RoleDisk], func(done, total int64) {
		flight.done.Store(done)
		flight.total.Store(total)
	})
	if err == nil {
		disk, err = a.native(ctx, disk, files[fleet.RoleDisk])
	}
	if err != nil {
		return fleet.Image{}, err
	}
	im.Files = append(im.Files, disk)
	for _, f := range im.Files {
		im.Bytes += f.Bytes
	}
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	if err := im.Validate(); err != nil {
		return fleet.Image{}, err
	}
	done, err := a.shelf.use(ctx, im.ID)
	if err != nil {
		return fleet.Image{}, err
	}
	defer done()
	if held, err := a.image(im.ID); err == nil {
		return held, nil
	}
	a.renamed(ctx, &im)
	return a.keep(ctx, im, files)
}

// booted begins the manifest of an image of a machine: with the kernel that the
// machine boots, which is brought into the folder, where it boots one.
func (a *Agent) booted(ctx context.Context, id fleet.InstanceID, files imageFiles, folder string) (fleet.Image, error) {
	m, err := a.driver.Inspect(ctx, id)
	if err != nil || m.Mark == nil || m.Mark.Image == "" {
		return fleet.Image{}, err
	}
	held, err := a.image(m.Mark.Image)
	if err != nil {
		return fleet.Image{}, err
	}
	if _, kernel := held.File(fleet.RoleKernel); !kernel {
		return fleet.Image{}, nil
	}
	im := fleet.Image{Cmdline: held.Cmdline}
	for _, role := range []fleet.ImageRole{fleet.RoleKernel, fleet.RoleInitrd} {
		f, ok := held.File(role)
		if !ok {
			continue
		}
		files[role] = filepath.Join(folder, string(role))
		if err := a.readImageFile(ctx, held.ID, f, files[role]); err != nil {
			return fleet.Image{}, fmt.Errorf("read the %s that it boots: %w", role, err)
		}
		im.Files = append(im.Files, f)
	}
	return im, nil
}

// readImageFile copies a file of an image of this host.
func (a *Agent) readImageFile(ctx context.Context, image string, f fleet.ImageFile, path string) error {
	reader, err := a.imageReader()
	if err != nil {
		return err
	}
	content, err := reader.ReadImage(ctx, image, f.Role, 0, f.Bytes)
	if err != nil {
		return err
	}
	defer content.Close()
	// The manifest of one file makes sure of the digest.
	one := fleet.Image{Name: string(f.Role), Files: []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: f.SHA256, Bytes: f.Bytes}}}
	one.ID = fleet.ImageID(one.Files, "")
	return drivers.EachFile(one, content, func(_ fleet.ImageFile, r io.Reader) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, r)
		return errors.Join(err, file.Close())
	})
}

// native gives a disk a format that this host's hypervisor takes, so that the
// image is kept as it is, and others can fetch it here.
func (a *Agent) native(ctx context.Context, disk fleet.ImageFile, path string) (fleet.ImageFile, error) {
	if a.takes(disk.Format) {
		return disk, nil
	}
	made, err := a.convert(ctx, disk, path)
	if err == nil {
		err = os.Rename(converted(path), path)
	}
	return made, err
}
