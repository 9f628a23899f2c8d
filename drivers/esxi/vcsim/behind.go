package vcsim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/fleet"
)

// DatastoreName and NetworkName are what the simulator calls its only
// datastore and its only network.
const (
	DatastoreName = "LocalDS_0"
	NetworkName   = "VM Network"
)

// patience bounds what a person does on a simulated host.
const patience = 30 * time.Second

func deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// client returns the person's session, logged in.
func (h *Host) client() (*govmomi.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.admin != nil {
		return h.admin, nil
	}
	u, err := url.Parse(h.URL())
	if err != nil {
		return nil, fmt.Errorf("read own address: %w", err)
	}
	transport := soap.NewClient(u, true)
	transport.UserAgent = personAgent
	ctx, cancel := deadline()
	defer cancel()
	client, err := vim25.NewClient(ctx, transport)
	if err != nil {
		return nil, fmt.Errorf("reach the host: %w", err)
	}
	admin := &govmomi.Client{Client: client, SessionManager: session.NewManager(client)}
	if err := admin.Login(ctx, url.UserPassword(h.User(), h.password)); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	h.admin = admin
	return admin, nil
}

// personAgent is what a person's client calls itself, so that faults meet
// drivers alone.
const personAgent = "a person at the host"

// Define makes a stopped machine without Grapevine's Mark, as a person would:
// 1 CPU, 64 MiB, no disk.
func (h *Host) Define(name string) (fleet.InstanceID, error) {
	id := randomUUID()
	return id, h.define(name, id)
}

func (h *Host) define(name string, id fleet.InstanceID) error {
	client, err := h.client()
	if err != nil {
		return err
	}
	ctx, cancel := deadline()
	defer cancel()
	folders, err := object.NewDatacenter(client.Client, h.model.Map().Any("Datacenter").Reference()).Folders(ctx)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	pool := object.NewResourcePool(client.Client, h.model.Map().Any("ResourcePool").Reference())
	task, err := folders.VmFolder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: name, Uuid: id.String(), NumCPUs: 1, MemoryMB: 64,
		GuestId: string(types.VirtualMachineGuestOsIdentifierOtherGuest64),
		Files:   &types.VirtualMachineFileInfo{VmPathName: "[" + DatastoreName + "]"},
	}, pool, nil)
	if err != nil {
		return fmt.Errorf("define machine %q: %w", name, err)
	}
	if err := task.Wait(ctx); err != nil {
		return fmt.Errorf("define machine %q: %w", name, err)
	}
	return nil
}

// PowerOn starts any machine, as a person would.
func (h *Host) PowerOn(id fleet.InstanceID) error {
	return h.act(id, func(ctx context.Context, vm *object.VirtualMachine) (*object.Task, error) { return vm.PowerOn(ctx) })
}

// PowerOff stops any machine, as a person would.
func (h *Host) PowerOff(id fleet.InstanceID) error {
	return h.act(id, func(ctx context.Context, vm *object.VirtualMachine) (*object.Task, error) { return vm.PowerOff(ctx) })
}

// Remove deletes any stopped machine, as a person would.
func (h *Host) Remove(id fleet.InstanceID) error {
	return h.act(id, func(ctx context.Context, vm *object.VirtualMachine) (*object.Task, error) { return vm.Destroy(ctx) })
}

// Unregister takes any stopped machine off the host's inventory, as a person
// would; its files stay.
func (h *Host) Unregister(id fleet.InstanceID) error {
	return h.at(id, func(ctx context.Context, vm *object.VirtualMachine) error {
		if err := vm.Unregister(ctx); err != nil {
			return fmt.Errorf("unregister machine %s: %w", id, err)
		}
		return nil
	})
}

// Configure sets one of a machine's extra options, as a person would; keys
// that begin with "SET." change what the simulator says of the guest.
func (h *Host) Configure(id fleet.InstanceID, key, value string) error {
	return h.act(id, func(ctx context.Context, vm *object.VirtualMachine) (*object.Task, error) {
		return vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: key, Value: value}},
		})
	})
}

// at finds a machine and does something with it.
func (h *Host) at(id fleet.InstanceID, do func(context.Context, *object.VirtualMachine) error) error {
	client, err := h.client()
	if err != nil {
		return err
	}
	ctx, cancel := deadline()
	defer cancel()
	vm, err := machine(ctx, client.Client, id)
	if err != nil {
		return err
	}
	return do(ctx, vm)
}

// act does something with a machine that takes a task, and waits for its end.
func (h *Host) act(id fleet.InstanceID, do func(context.Context, *object.VirtualMachine) (*object.Task, error)) error {
	return h.at(id, func(ctx context.Context, vm *object.VirtualMachine) error {
		task, err := do(ctx, vm)
		if err != nil {
			return fmt.Errorf("act on machine %s: %w", id, err)
		}
		if err := task.Wait(ctx); err != nil {
			return fmt.Errorf("act on machine %s: %w", id, err)
		}
		return nil
	})
}

// machine finds a machine by its id.
func machine(ctx context.Context, client *vim25.Client, id fleet.InstanceID) (*object.VirtualMachine, error) {
	ref, err := object.NewSearchIndex(client).FindByUuid(ctx, nil, id.String(), true, nil)
	if err != nil {
		return nil, fmt.Errorf("find machine %s: %w", id, err)
	}
	if ref == nil {
		return nil, fmt.Errorf("find machine %s: no such machine", id)
	}
	return object.NewVirtualMachine(client, ref.Reference()), nil
}

// Files lists what a folder of the datastore holds, at any depth, sorted.
func (h *Host) Files(folder string) ([]string, error) {
	root := filepath.Join(h.datastore().Summary.Url, folder)
	var names []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipAll // not there, or just being removed
		}
		name, err := filepath.Rel(root, path)
		if err == nil && name != "." {
			names = append(names, name)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// ReadFile returns a file of the datastore.
func (h *Host) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(h.datastore().Summary.Url, name))
}

// Append writes to the end of a file of the datastore, as a machine's serial
// port does.
func (h *Host) Append(name, text string) error {
	f, err := os.OpenFile(filepath.Join(h.datastore().Summary.Url, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("append to %s: %w", name, err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
