package vcsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

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
	if !c.isSparse(req.SourceName) {
		return c.VirtualDiskManager.CopyVirtualDiskTask(ctx, req)
	}
	task := simulator.CreateTask(c, "copyVirtualDisk", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if err := c.convert(req.SourceName, req.DestName); err != nil {
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

// convert writes the descriptor and the extent. The extent stays empty, as
// that of every simulated disk: nothing reads it.
func (c *converter) convert(source, dest string) error {
	sectors, err := sparseSectors(c.path(source))
	if err != nil {
		return fmt.Errorf("read %s: %w", source, err)
	}
	path := c.path(dest)
	extent := strings.TrimSuffix(path, ".vmdk") + "-flat.vmdk"
	if err := os.WriteFile(extent, nil, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	descriptor := vmdk.NewDescriptor(vmdk.Extent{Size: sectors, Info: filepath.Base(extent)})
	return errors.Join(descriptor.Write(f), f.Close())
}
