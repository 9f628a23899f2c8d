package vcsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vmdk"
)

// addDiskConversion teaches the simulator what CopyVirtualDisk does on a real
// host with an uploaded disk that is one sparse file: it writes a disk of the
// host's own form. The simulator by itself copies only disks that already have
// that form, a descriptor and an extent.
func (h *Host) addDiskConversion() {
	registry := h.model.Map()
	registry.Put(&converter{
		VirtualDiskManager: registry.VirtualDiskManager().(*simulator.VirtualDiskManager),
		root:               h.datastore().Summary.Url,
	})
}

// converter is a VirtualDiskManager that also copies sparse disks.
type converter struct {
	*simulator.VirtualDiskManager
	root string // of the datastore
}

// CopyVirtualDiskTask is called by the simulator, by its name.
func (c *converter) CopyVirtualDiskTask(ctx *simulator.Context, req *types.CopyVirtualDisk_Task) soap.HasFault {
	if _, err := os.Stat(c.path(req.SourceName)); err != nil {
		return c.VirtualDiskManager.CopyVirtualDiskTask(ctx, req) // which has the fault for it
	}
	if _, err := os.Stat(c.path(req.DestName)); err == nil {
		return c.VirtualDiskManager.CopyVirtualDiskTask(ctx, req)
	}
	task := simulator.CreateTask(c, "copyVirtualDisk", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		do := c.duplicate
		if c.isSparse(req.SourceName) {
			do = c.convert
		}
		if err := do(req.SourceName, req.DestName); err != nil {
			return nil, &types.FileFault{File: req.DestName, VimFault: types.VimFault{MethodFault: types.MethodFault{
				FaultMessage: []types.LocalizableMessage{{Message: err.Error()}},
			}}}
		}
		return nil, nil
	})
	return &methods.CopyVirtualDisk_TaskBody{Res: &types.CopyVirtualDisk_TaskResponse{Returnval: task.Run(ctx)}}
}

// path is where a datastore path is on this machine.
func (c *converter) path(name string) string {
	var p object.DatastorePath
	p.FromString(name)
	return filepath.Join(c.root, filepath.Join("/", p.Path))
}

func (c *converter) isSparse(name string) bool {
	_, err := sparseSectors(c.path(name))
	return err == nil
}

// sparseSectors reads a sparse disk's capacity from its header.
func sparseSectors(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var header [20]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return 0, err
	}
	if string(header[:4]) != sparseMagic {
		return 0, errors.New("not a sparse disk")
	}
	return int64(binary.LittleEndian.Uint64(header[12:])), nil
}

// extentOf is where the content of the disk with this description lies.
func extentOf(path string) string { return strings.TrimSuffix(path, ".vmdk") + "-flat.vmdk" }

// extend makes the extent of a disk as long as its description says; the
// simulator by itself leaves all of them empty.
func extend(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	descriptor, err := vmdk.ParseDescriptor(f)
	if err != nil {
		return err
	}
	info, err := os.Stat(extentOf(path))
	if err != nil || info.Size() >= descriptor.Capacity() {
		return err
	}
	return os.Truncate(extentOf(path), descriptor.Capacity())
}

// duplicate copies a disk of the host's own form.
func (c *converter) duplicate(source, dest string) error {
	from, to := c.path(source), c.path(dest)
	if err := extend(from); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	descriptor, err := vmdk.ParseDescriptor(f)
	if err != nil {
		return err
	}
	for i := range descriptor.Extent {
		descriptor.Extent[i].Info = filepath.Base(extentOf(to))
	}
	if err := copySparse(extentOf(from), extentOf(to)); err != nil {
		return err
	}
	return writeDescriptor(descriptor, to)
}

// seekData is lseek's SEEK_DATA: go to where the next hole has ended.
const seekData = 3

// copySparse copies a file and leaves its holes out.
func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	end, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(err, out.Close())
	}
	block := make([]byte, 1<<20)
	for at := int64(0); at < end; {
		if at, err = in.Seek(at, seekData); errors.Is(err, syscall.ENXIO) {
			break // nothing but a hole is left
		}
		var n int
		if err == nil {
			n, err = in.ReadAt(block, at)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(err, out.Close())
		}
		if _, err := out.WriteAt(block[:n], at); err != nil {
			return errors.Join(err, out.Close())
		}
		at += int64(n)
	}
	return errors.Join(out.Truncate(end), out.Close())
}

func writeDescriptor(descriptor *vmdk.Descriptor, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(descriptor.Write(f), f.Close())
}

// WriteDisk writes to the disk of a machine that lies at this path of the
// datastore, as its guest would.
func (h *Host) WriteDisk(name string, offset int64, data []byte) error {
	path := filepath.Join(h.datastore().Summary.Url, name)
	if err := extend(path); err != nil {
		return err
	}
	f, err := os.OpenFile(extentOf(path), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return errors.Join(err, f.Close())
}

// convert writes the descriptor and the extent, which is empty: what a sparse
// disk holds is not decoded.
func (c *converter) convert(source, dest string) error {
	sectors, err := sparseSectors(c.path(source))
	if err != nil {
		return fmt.Errorf("read %s: %w", source, err)
	}
	path := c.path(dest)
	if err := os.WriteFile(extentOf(path), nil, 0o600); err != nil {
		return err
	}
	return writeDescriptor(vmdk.NewDescriptor(vmdk.Extent{Size: sectors, Info: filepath.Base(extentOf(path))}), path)
}
