package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"grapevine/agent/convert"
	"grapevine/agent/fetch"
	"grapevine/agent/uploads"
	"grapevine/drivers"
	"grapevine/fleet"
)

// BeginUpload implements api.Uploader: the host says what it has of the image,
// and refuses at once what it could not store.
func (a *Agent) BeginUpload(ctx context.Context, host fleet.HostID, im fleet.Image) (fleet.Upload, error) {
	if err := a.ownUpload(host); err != nil {
		return fleet.Upload{}, err
	}
	if err := im.Validate(); err != nil {
		return fleet.Upload{}, err
	}
	if im.Stored != nil {
		return fleet.Upload{}, errorf(fleet.CodeInvalid, "the manifest says what a host stores in place of the disk; leave stored out, only the host knows")
	}
	if held, err := a.image(im.ID); err == nil {
		return a.uploaded(held), nil
	}
	disk, ok := im.File(fleet.RoleDisk)
	if ok && !a.takes(disk.Format) && !convert.Available() {
		return fleet.Upload{}, errorf(fleet.CodeUnsupported, "host %s takes no %s disks, and has no qemu-img to convert one", a.name(), disk.Format)
	}
	im.Bytes, im.Hosts = 0, nil
	for _, f := range im.Files {
		im.Bytes += f.Bytes
	}
	if err := a.uploads.Begin(im); err != nil {
		return fleet.Upload{}, a.uploadError(im.ID, err)
	}
	return a.Upload(ctx, host, im.ID)
}

// ownUpload refuses what is for another host, or for none.
func (a *Agent) ownUpload(host fleet.HostID) error {
	if !host.IsZero() && host != a.hostID {
		return errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s), and it stores images only there; ask a registry, or the agent of host %s", a.name(), a.hostID, host)
	}
	if _, ok := a.driver.(drivers.ImageStore); !ok {
		return errorf(fleet.CodeUnsupported, "host %s stores no images", a.name())
	}
	return nil
}

// uploaded is the upload of an image that is here.
func (a *Agent) uploaded(im fleet.Image) fleet.Upload {
	im.Hosts = []fleet.HostID{a.hostID}
	return fleet.Upload{Image: im.ID, Host: a.hostID, HaveBytes: im.Bytes, TotalBytes: im.Bytes, Stored: &im}
}

// Upload implements api.Uploader.
func (a *Agent) Upload(_ context.Context, host fleet.HostID, id string) (fleet.Upload, error) {
	if err := a.ownUpload(host); err != nil {
		return fleet.Upload{}, err
	}
	if held, err := a.image(id); err == nil {
		return a.uploaded(held), nil
	}
	state, err := a.uploads.Look(id)
	if err != nil {
		return fleet.Upload{}, a.uploadError(id, err)
	}
	state.Host = a.hostID
	return state, nil
}

// AppendUpload implements api.Uploader. What is whole then is verified, and
// given to the hypervisor before it answers.
func (a *Agent) AppendUpload(ctx context.Context, host fleet.HostID, id string, offset int64, content io.Reader) (fleet.Upload, error) {
	if err := a.ownUpload(host); err != nil {
		return fleet.Upload{}, err
	}
	taken, err := a.uploads.Take(id, offset)
	if err != nil {
		return fleet.Upload{}, a.uploadError(id, err)
	}
	defer taken.Release()
	err = taken.Append(content)
	if err == nil && taken.Whole() {
		err = a.takeUpload(ctx, taken)
	}
	if err != nil {
		return fleet.Upload{}, a.uploadError(id, err)
	}
	if held, err := a.image(id); err == nil {
		return a.uploaded(held), nil
	}
	return fleet.Upload{Image: id, Host: a.hostID, HaveBytes: taken.Have(), TotalBytes: taken.Image.Bytes}, nil
}

// takeUpload stores what is whole. It is kept for another try where the client
// has gone, or the hypervisor cannot be asked; otherwise nothing of it stays.
func (a *Agent) takeUpload(ctx context.Context, taken *uploads.Upload) error {
	done, err := a.shelf.use(ctx, taken.Image.ID)
	if err != nil {
		return err
	}
	defer done()
	begun := time.Now()
	err = a.storeUpload(ctx, taken)
	if ctx.Err() != nil || errors.Is(err, drivers.ErrUnavailable) {
		return err
	}
	if err == nil {
		a.log.Info("image uploaded", "image", taken.Image.ID, "bytes", taken.Image.Bytes, "stored_in", time.Since(begun))
	}
	return errors.Join(err, taken.Drop())
}

func (a *Agent) storeUpload(ctx context.Context, taken *uploads.Upload) error {
	if _, err := a.image(taken.Image.ID); err == nil {
		return nil // it came another way meanwhile
	}
	if err := taken.Verify(); err != nil {
		return err
	}
	im := taken.Image
	a.renamed(ctx, &im)
	_, err := a.keep(ctx, im, taken.Paths())
	return err
}

// uploadError says an upload's error in the words that callers outside know.
func (a *Agent) uploadError(id string, err error) error {
	said := fmt.Sprintf("upload of image %.12s to host %s", id, a.name())
	switch {
	case errors.Is(err, uploads.ErrNone):
		return errorf(fleet.CodeNotFound, "%s: none has begun, or it was left for more than %s; begin it", said, fleet.UploadKept)
	case errors.Is(err, uploads.ErrBusy):
		return errorf(fleet.CodeBusy, "%s: somebody else is sending it; wait until they are done", said)
	case errors.Is(err, uploads.ErrOffset):
		return errorf(fleet.CodeConflict, "%s: %v; ask how much is there", said, err)
	case errors.Is(err, uploads.ErrTooLong):
		return errorf(fleet.CodeInvalid, "%s: more was sent than the manifest says; make the manifest anew", said)
	case errors.Is(err, fetch.ErrBadContent):
		return errorf(fleet.CodeInvalid, "%s: %v; nothing of it was kept, import it again", said, err)
	default:
		return driverError(said, err)
	}
}
