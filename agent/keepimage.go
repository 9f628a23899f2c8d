package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"grapevine/agent/convert"
	"grapevine/drivers"
	"grapevine/fleet"
)

// imageFiles are where the files of an image lie, verified, on their way to the
// hypervisor.
type imageFiles map[fleet.ImageRole]string

// keep gives an image to the hypervisor, its disk converted where that takes
// another format, and tells the fleet of it.
func (a *Agent) keep(ctx context.Context, im fleet.Image, files imageFiles) (fleet.Image, error) {
	store, ok := a.driver.(drivers.ImageStore)
	if !ok {
		return fleet.Image{}, drivers.ErrUnsupported
	}
	im.CreatedAt, im.Hosts, im.Stored = time.Now(), nil, nil
	if disk, ok := im.File(fleet.RoleDisk); ok && !a.takes(disk.Format) {
		made, err := a.convert(ctx, disk, files[fleet.RoleDisk])
		if err != nil {
			return fleet.Image{}, err
		}
		im.Stored, files[fleet.RoleDisk] = &made, converted(files[fleet.RoleDisk])
	}
	var total int64
	for _, f := range im.Files {
		stored, _ := im.StoredFile(f.Role)
		total += stored.Bytes
	}
	err := a.persist(ctx, func() error {
		return files.read(&im, func(content io.Reader) error { return store.ImportImage(ctx, im, telling(ctx, content, total)) })
	})
	drivers.Tell(ctx, fleet.Progress{})
	if err != nil {
		return fleet.Image{}, err
	}
	if err := a.persist(ctx, func() error { return a.observer.LookImages(ctx) }); err != nil {
		return fleet.Image{}, err
	}
	a.publish()
	return a.image(im.ID)
}

// read opens the files for as long as do takes, one after the other in the
// manifest's order.
func (f imageFiles) read(im *fleet.Image, do func(io.Reader) error) error {
	var readers []io.Reader
	for _, file := range im.Files {
		opened, err := os.Open(f[file.Role])
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		defer opened.Close()
		readers = append(readers, opened)
	}
	return do(io.MultiReader(readers...))
}

// takes reports whether the hypervisor takes disks of this format as they are.
// One that has not said yet is asked.
func (a *Agent) takes(format string) bool {
	disks := a.observer.Description().Disks
	return len(disks) == 0 || slices.Contains(disks, format)
}

// targets are the formats to convert to, the best first.
var targets = []string{fleet.FormatQCOW2, fleet.FormatVMDK, fleet.FormatRaw}

// converted is where a converted disk lies: beside the disk.
func converted(path string) string { return filepath.Join(filepath.Dir(path), "converted") }

// convert turns a disk into a format that the hypervisor takes.
func (a *Agent) convert(ctx context.Context, disk fleet.ImageFile, path string) (fleet.ImageFile, error) {
	d := a.observer.Description()
	i := slices.IndexFunc(targets, func(format string) bool { return slices.Contains(d.Disks, format) })
	if i < 0 {
		return fleet.ImageFile{}, fmt.Errorf("%w: %s on host %s takes no disks", drivers.ErrUnsupported, d.Hypervisor, a.name())
	}
	room, err := a.spool.Room()
	if err != nil {
		return fleet.ImageFile{}, err
	}
	if room < disk.Bytes {
		return fleet.ImageFile{}, fmt.Errorf("%w: %d MiB are free in the spool", convert.ErrOutOfSpace, max(room, 0)>>20)
	}
	begun := time.Now()
	made, err := convert.Disk(ctx, disk, path, targets[i], converted(path))
	if errors.Is(err, convert.ErrAbsent) {
		return fleet.ImageFile{}, fmt.Errorf("%w: %s on host %s takes no %s disks, only %s, and to convert it is not possible there: %w",
			drivers.ErrUnsupported, d.Hypervisor, a.name(), disk.Format, strings.Join(d.Disks, ", "), err)
	}
	if err != nil {
		return fleet.ImageFile{}, err
	}
	a.log.Info("disk converted", "from", disk.Format, "to", made.Format, "bytes", made.Bytes, "took", time.Since(begun))
	return made, nil
}

// spoolUpload takes an upload into the spool, for what has to be converted before
// the hypervisor can have it.
func (a *Agent) spoolUpload(im *fleet.Image, content io.Reader) (files imageFiles, drop func() error, err error) {
	folder, err := a.spool.Upload(im.Bytes)
	if err != nil {
		return nil, nil, err
	}
	drop = func() error { return os.RemoveAll(folder) }
	files = imageFiles{}
	err = drivers.EachFile(*im, content, func(f fleet.ImageFile, r io.Reader) error {
		path := filepath.Join(folder, string(f.Role))
		files[f.Role] = path
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, r)
		return errors.Join(err, file.Close())
	})
	if err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return files, drop, nil
}
