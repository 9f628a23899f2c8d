package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"grapevine/agent/convert"
	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/exportfile"
	"grapevine/fleet"
)

// exportFolder names the folder of the spool where an instance lies that is
// carried away: its files and, written last, the manifest. It goes when its file
// has been taken, and by itself after a day.
func exportFolder(id fleet.InstanceID) string { return "export-" + id.String() }

const exportManifest = "manifest.json"

// ExportInstance implements api.Writer for the machines of this host. Who asks
// while an export is being prepared joins it.
func (a *Agent) ExportInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error) {
	if _, err := a.diskReader(); err != nil {
		return fleet.Accepted{}, err
	}
	a.state.mu.Lock()
	op := a.state.busy[id]
	a.state.mu.Unlock()
	if op != nil && op.Verb == fleet.VerbExport {
		return a.accepted(id, op.ID), nil
	}
	return a.begin(ctx, id, &work{verb: fleet.VerbExport}, func(row *fleet.Instance, picture *observer.Picture) error {
		_, built := picture.Machines[id]
		return idle(row, built)
	})
}

// export prepares the files of an instance that is to be carried away.
func (a *Agent) export(ctx context.Context, op *journal.Operation) error {
	flight, landed := a.shelf.download(op.ID)
	defer landed()
	name := exportFolder(op.Instance)
	folder, err := a.spool.Fresh(name)
	if err != nil {
		return err
	}
	if err := a.prepare(ctx, op.Instance, folder, flight); err != nil {
		return fmt.Errorf("export: %w", errors.Join(err, a.spool.Remove(name)))
	}
	return nil
}

func (a *Agent) prepare(ctx context.Context, id fleet.InstanceID, folder string, flight *flight) error {
	m, err := a.driver.Inspect(ctx, id)
	if err != nil {
		return err
	}
	if m.Mark == nil {
		return drivers.ErrForeign
	}
	source, err := a.anatomy(ctx, id)
	if err != nil {
		return err
	}
	e := fleet.Export{Format: fleet.ExportFormat, Instance: fleet.ExportedInstance{
		ID: id, Name: m.Mark.Name, Project: m.Mark.Project, Hypervisor: a.observer.Description().Hypervisor, Flavor: m.Mark.Flavor,
		VCPUs: m.Resources.VCPUs, MemoryMiB: m.Resources.MemoryMiB, Labels: m.Mark.Labels, Networks: source.networks,
	}}
	reader, err := a.diskReader()
	if err != nil {
		return err
	}
	if e.Instance.Firmware, err = reader.Firmware(ctx, id); err != nil {
		return err
	}
	files := imageFiles{}
	boots, err := a.booted(ctx, id, files, folder)
	if err != nil {
		return err
	}
	e.Instance.Cmdline = boots.Cmdline
	for _, f := range boots.Files {
		e.Files = append(e.Files, fleet.ExportedFile{Name: string(f.Role), ImageFile: f})
	}
	for _, disk := range source.disks {
		f, err := a.exportDisk(ctx, id, disk, folder, flight)
		if err != nil {
			return err
		}
		f.SizeGiB = source.sizes[disk]
		e.Files = append(e.Files, f)
	}
	if e.ID, err = fleet.ExportID(&e); err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return err
	}
	return writeManifest(filepath.Join(folder, exportManifest), &e)
}

// exportDisk reads a disk into the folder. A raw one that this hypervisor itself
// would not take as an image is converted, which leaves out what it does not hold.
func (a *Agent) exportDisk(ctx context.Context, id fleet.InstanceID, disk, folder string, flight *flight) (fleet.ExportedFile, error) {
	path := filepath.Join(folder, disk)
	before := flight.done.Load()
	read, err := a.readOut(ctx, id, disk, path, func(done, total int64) {
		flight.done.Store(before + done)
		flight.total.Store(before + total)
	})
	if err != nil {
		return fleet.ExportedFile{}, err
	}
	if read.Format == fleet.FormatRaw && !a.takes(fleet.FormatRaw) && convert.Available() {
		if read, err = convert.Disk(ctx, read, path, fleet.FormatQCOW2, converted(path)); err == nil {
			err = os.Rename(converted(path), path)
		}
		if err != nil {
			return fleet.ExportedFile{}, err
		}
	}
	f := fleet.ExportedFile{Name: disk + "." + read.Format, Device: disk, ImageFile: read}
	return f, os.Rename(path, filepath.Join(folder, f.Name))
}

func writeManifest(path string, e *fleet.Export) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Export returns what has been prepared of an instance of this host.
func (l *local) Export(_ context.Context, id fleet.InstanceID) (fleet.PreparedExport, error) {
	text, err := os.ReadFile(filepath.Join(l.spool.Folder(exportFolder(id)), exportManifest))
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.PreparedExport{}, errorf(fleet.CodeNotFound, "no export of instance %s is prepared at host %s; prepare it with: grapevine instance export %s", id, l.cfg.Name, id)
	}
	var out fleet.PreparedExport
	if err == nil {
		err = json.Unmarshal(text, &out.Export)
	}
	if err != nil {
		return fleet.PreparedExport{}, errorf(fleet.CodeInternal, "read export of instance %s: %v", id, err)
	}
	layout, err := exportfile.NewLayout(&out.Export)
	if err != nil {
		return fleet.PreparedExport{}, errorf(fleet.CodeInternal, "%v", err)
	}
	out.Bytes = layout.Size()
	return out, nil
}

// ReadExport reads a part of the file of a prepared export, which stays for a day
// from then on.
func (l *local) ReadExport(ctx context.Context, id fleet.InstanceID, part fleet.ExportRange) (io.ReadCloser, error) {
	prepared, err := l.Export(ctx, id)
	if err != nil {
		return nil, err
	}
	if prepared.ID != part.ID {
		return nil, errorf(fleet.CodeConflict, "instance %s has been exported anew meanwhile; begin again", id)
	}
	leave, ok := l.giving.enter()
	if !ok {
		return nil, errorf(fleet.CodeTooMany, "host %s gives to %d readers already; try again in a moment", l.cfg.Name, maxReaders)
	}
	folder := l.spool.Folder(exportFolder(id))
	open := &openExport{leave: leave}
	var files []io.ReaderAt
	for _, f := range prepared.Files {
		file, err := os.Open(filepath.Join(folder, f.Name))
		if err != nil {
			return nil, errors.Join(errorf(fleet.CodeConflict, "the export of instance %s is being replaced; begin again", id), open.Close())
		}
		open.files, files = append(open.files, file), append(files, file)
	}
	now := time.Now()
	if err := os.Chtimes(filepath.Join(folder, exportManifest), now, now); err != nil {
		l.log.Warn("export will not stay", "instance", id, "error", err)
	}
	layout, err := exportfile.NewLayout(&prepared.Export)
	if err != nil {
		return nil, errors.Join(errorf(fleet.CodeInternal, "%v", err), open.Close())
	}
	open.Reader = io.NewSectionReader(layout.Reader(files), part.Offset, min(part.Length, layout.Size()-part.Offset))
	return open, nil
}

// openExport is the file of an export that is being read.
type openExport struct {
	io.Reader
	files []*os.File
	leave func()
}

// Close implements io.Closer.
func (o *openExport) Close() error {
	defer o.leave()
	var errs []error
	for _, file := range o.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

// DropExport implements api.Writer: what was prepared of an instance of this host
// is removed. That there is nothing is no error.
func (a *Agent) DropExport(_ context.Context, id fleet.InstanceID) error {
	a.state.mu.Lock()
	op := a.state.busy[id]
	a.state.mu.Unlock()
	if op != nil && op.Verb == fleet.VerbExport {
		return errorf(fleet.CodeBusy, "instance %s is being exported (operation %s)", id, op.ID)
	}
	if err := a.spool.Remove(exportFolder(id)); err != nil {
		return errorf(fleet.CodeInternal, "%v", err)
	}
	return nil
}
