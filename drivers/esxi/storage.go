package esxi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Where things lie on the datastore; the names are relative to its root.
const (
	imagesFolder = "grapevine/images"
	diskFile     = "disk.vmdk"
	uploadFile   = "upload.vmdk"
	manifestFile = "image.json"
)

func imageFolder(id string) string             { return imagesFolder + "/" + id }
func machineFolder(id fleet.InstanceID) string { return "grapevine/machines/" + id.String() }

// makeFolder makes a folder and those above it; one that is there is no error.
// Like a step it is not cut short: the host could still make the folder after
// the caller has undone it.
func (s *session) makeFolder(ctx context.Context, folder string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	making, cancel := steady(ctx)
	defer cancel()
	err := object.NewFileManager(s.client).MakeDirectory(making, s.datastore.Path(folder), s.datacenter, true)
	if err != nil && !isFileThere(err) {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// removeFolder removes a folder with all in it; one that is not there is no
// error.
func (s *session) removeFolder(ctx context.Context, folder string) error {
	err := s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewFileManager(s.client).DeleteDatastoreFile(ctx, s.datastore.Path(folder), s.datacenter)
	})
	if err != nil && !isNoFile(err) {
		return fmt.Errorf("remove folder: %w", err)
	}
	return nil
}

// removeFile is removeFolder for one file.
func (s *session) removeFile(ctx context.Context, name string) error {
	return s.removeFolder(ctx, name)
}

// copyDisk copies a disk; the copy has the host's own form and is thin,
// whatever form the source has.
func (s *session) copyDisk(ctx context.Context, from, to string) error {
	spec := &types.VirtualDiskSpec{
		DiskType:    string(types.VirtualDiskTypeThin),
		AdapterType: string(types.VirtualDiskAdapterTypeLsiLogic),
	}
	return s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualDiskManager(s.client).CopyVirtualDisk(ctx,
			s.datastore.Path(from), s.datacenter, s.datastore.Path(to), s.datacenter, spec, false)
	})
}

func (s *session) extendDisk(ctx context.Context, name string, size int64) error {
	return s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualDiskManager(s.client).ExtendVirtualDisk(ctx, s.datastore.Path(name), s.datacenter, size>>10, new(false))
	})
}

// upload writes a file of a known size onto the datastore.
func (s *session) upload(ctx context.Context, name string, content io.Reader, size int64) error {
	source := &sourceReader{r: content}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.datastore.NewURL(name).String(), io.NopCloser(source))
	if err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	// The host has opened the file before it asks for the content. So when the
	// content breaks off, removing the file is not overtaken by making it.
	req.Header.Set("Expect", "100-continue")
	res, err := s.client.Client.Client.Do(req)
	if source.err != nil {
		return source.err // the content's own error, in its own words
	}
	if err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return nil
	case http.StatusInsufficientStorage, http.StatusRequestEntityTooLarge:
		return fmt.Errorf("upload %s: %w: %s", name, drivers.ErrOutOfSpace, res.Status)
	default:
		return fmt.Errorf("upload %s: %w", name, statusError(res))
	}
}

// sourceReader keeps the error with which the source ended.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// maxSmallFile bounds what is read of a small file.
const maxSmallFile = 1 << 20

// read returns a small file of the datastore; found is false when it is not
// there.
func (s *session) read(ctx context.Context, name string) (content []byte, found bool, err error) {
	res, err := s.client.DownloadRequest(ctx, s.datastore.NewURL(name), &soap.Download{Method: http.MethodGet})
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", name, err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		content, err := io.ReadAll(io.LimitReader(res.Body, maxSmallFile))
		if err != nil {
			return nil, false, fmt.Errorf("read %s: %w", name, err)
		}
		return content, true, nil
	case http.StatusNotFound:
		return nil, false, nil
	default:
		return nil, false, fmt.Errorf("read %s: %w", name, statusError(res))
	}
}

// statusError is a status that is no success. A login that the host no longer
// knows, and a host that is starting, answer so; both heal.
func statusError(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable, http.StatusBadGateway:
		return fmt.Errorf("%w: the host answered %s", drivers.ErrUnavailable, res.Status)
	default:
		return fmt.Errorf("the host answered %s", res.Status)
	}
}
