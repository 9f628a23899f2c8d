package esxi

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/fleet"
)

// Where things lie on the datastore; the names are relative to its root.
const (
	imagesFolder   = "grapevine/images"
	machinesFolder = "grapevine/machines"
	diskFile       = "disk.vmdk"
	uploadFile     = "upload.vmdk"
	isoFile        = "disc.iso"
	manifestFile   = "image.json"
)

func imageFolder(id string) string             { return imagesFolder + "/" + id }
func machineFolder(id fleet.InstanceID) string { return machinesFolder + "/" + id.String() }

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

// foldersIn lists the names of the folders in a folder; one that is not there has
// none.
func (s *session) foldersIn(ctx context.Context, folder string) ([]string, error) {
	browser, err := s.datastore.Browser(ctx)
	if err != nil {
		return nil, fmt.Errorf("find browser: %w", err)
	}
	task, err := browser.SearchDatastore(ctx, s.datastore.Path(folder), &types.HostDatastoreBrowserSearchSpec{
		Query:        []types.BaseFileQuery{&types.FolderFileQuery{}},
		MatchPattern: []string{"*"},
	})
	if err != nil {
		return nil, fmt.Errorf("browse %s: %w", folder, err)
	}
	info, err := s.result(ctx, task.Reference())
	if isNoFile(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("browse %s: %w", folder, err)
	}
	results, _ := info.Result.(types.HostDatastoreBrowserSearchResults)
	names := make([]string, len(results.File))
	for i, f := range results.File {
		names[i] = f.GetFileInfo().Path
	}
	return names, nil
}

// copyDisk copies a disk; the copy has the host's own form and is thin,
// whatever form the source has.
func (s *session) copyDisk(ctx context.Context, from, to string) error {
	return s.copyDiskAt(ctx, s.datastore.Path(from), to)
}

// copyDiskAt is copyDisk from a disk of any datastore, by its whole path.
func (s *session) copyDiskAt(ctx context.Context, from, to string) error {
	spec := &types.VirtualDiskSpec{
		DiskType:    string(types.VirtualDiskTypeThin),
		AdapterType: string(types.VirtualDiskAdapterTypeLsiLogic),
	}
	return s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualDiskManager(s.client).CopyVirtualDisk(ctx,
			from, s.datacenter, s.datastore.Path(to), s.datacenter, spec, false)
	})
}

func (s *session) extendDisk(ctx context.Context, name string, size int64) error {
	return s.step(ctx, func(ctx context.Context) (*object.Task, error) {
		return object.NewVirtualDiskManager(s.client).ExtendVirtualDisk(ctx, s.datastore.Path(name), s.datacenter, size>>10, new(false))
	})
}

// maxSmallFile bounds what is read of a small file.
const maxSmallFile = 1 << 20

// read returns a small file of the datastore; found is false when it is not
// there.
func (s *session) read(ctx context.Context, name string) (content []byte, found bool, err error) {
	res, err := s.get(ctx, name, nil)
	if err != nil {
		return nil, false, err
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
