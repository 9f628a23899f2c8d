// Package vcsim starts simulated ESXi hosts inside this process: govmomi's
// simulator, served over HTTPS on loopback, one host each. Tests of the esxi
// driver and `grapevine dev` run on them. Nothing boots: machines, disks and
// power states exist as rows and as small files in a temporary folder.
//
// Start gives every host a hardware UUID, a name and a size of its own,
// because the simulator's are the same for all hosts of a process. Where the
// simulator falls short of a real host in what the driver uses, this package
// adds it: see disks.go, snapshots.go, screens.go and strict.go. What can
// go wrong at a host goes wrong on demand: see faults.go, tasks.go, full.go.
package vcsim

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/simulator"

	"grapevine/fleet"
)

// Config describes a simulated ESXi host.
type Config struct {
	Name      string          // "esxi" when empty
	UUID      fleet.HostID    // of the hardware, which is the host's id; drawn when zero
	Resources fleet.Resources // 16 CPUs, 64 GiB of memory, 1000 GiB of disk when zero
	// Foreign is how many machines run on the host from the start that
	// Grapevine did not make.
	Foreign int
}

// Host is a simulated ESXi host that is being served.
type Host struct {
	model       *simulator.Model
	server      *simulator.Server
	password    string
	cut         atomic.Bool
	trouble     trouble
	screens     screens
	certificate atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	admin *govmomi.Client // a person's own session; nil until needed
}

// starting is held while a host is set up: the simulator builds its inventory
// from templates and through a session that all hosts of a process share.
var starting sync.Mutex

// Start starts a host on a free port of 127.0.0.1. The caller closes it.
func Start(config Config) (*Host, error) {
	config.Name = cmp.Or(config.Name, "esxi")
	config.Resources = cmp.Or(config.Resources, fleet.Resources{VCPUs: 16, MemoryMiB: 64 << 10, DiskGiB: 1000})
	if config.UUID.IsZero() {
		config.UUID = randomUUID()
	}
	h := &Host{model: simulator.ESX(), password: rand.Text()}
	if err := h.create(config); err != nil {
		return nil, fmt.Errorf("start simulated ESXi %q: %w", config.Name, err)
	}
	for i := range config.Foreign {
		// Ids come from the hardware's, so that two hosts never show the same.
		id := fleet.NewUUIDv5(config.UUID, fmt.Sprintf("foreign %d", i))
		if err := h.define(fmt.Sprintf("legacy-%d", i), id); err != nil {
			h.Close()
			return nil, err
		}
		if err := h.PowerOn(id); err != nil {
			h.Close()
			return nil, err
		}
	}
	return h, nil
}

func (h *Host) create(config Config) error {
	starting.Lock()
	defer starting.Unlock()
	h.model.Machine = 0
	if err := h.model.Create(); err != nil {
		return fmt.Errorf("create inventory: %w", err)
	}
	h.shape(config)
	h.addDiskConversion()
	h.model.Map().Handler = h.handle
	h.model.Map().AddHandler(tasks{&h.trouble})
	h.model.Map().AddHandler(&h.screens)
	h.model.Map().Put(&office{screens: &h.screens})
	if err := h.makeCertificate(); err != nil {
		return err
	}
	h.model.Service.TLS = &tls.Config{GetConfigForClient: h.present}
	h.model.Service.Listen = &url.URL{User: url.UserPassword(h.User(), h.password)}
	h.server = h.model.Service.NewServer()
	h.server.Config.Handler = h.gate(h.server.Config.Handler) // before anybody knows the address
	return nil
}

// shape gives the host its name, hardware and storage.
func (h *Host) shape(config Config) {
	host := h.host()
	host.Name = config.Name
	host.Summary.Config.Name = config.Name
	hw := host.Summary.Hardware
	hw.Uuid = config.UUID.String()
	hw.NumCpuThreads = int16(config.Resources.VCPUs)
	hw.NumCpuCores = int16(config.Resources.VCPUs)
	hw.MemorySize = config.Resources.MemoryMiB << 20
	host.Hardware.SystemInfo.Uuid = hw.Uuid
	host.Hardware.MemorySize = hw.MemorySize
	host.Hardware.CpuInfo.NumCpuThreads = hw.NumCpuThreads
	host.Hardware.CpuInfo.NumCpuCores = hw.NumCpuCores
	ds := h.datastore()
	ds.Summary.Capacity = config.Resources.DiskGiB << 30
	ds.Summary.FreeSpace = ds.Summary.Capacity
	ds.Info.GetDatastoreInfo().FreeSpace = ds.Summary.FreeSpace
}

func (h *Host) host() *simulator.HostSystem {
	return h.model.Map().Any("HostSystem").(*simulator.HostSystem)
}

func (h *Host) datastore() *simulator.Datastore {
	return h.model.Map().Any("Datastore").(*simulator.Datastore)
}

// URL is the address of the host's API, without credentials.
func (h *Host) URL() string {
	u := *h.server.URL
	u.User = nil
	return u.String()
}

// User is the name to log in with.
func (h *Host) User() string { return "root" }

// Password is the password to log in with, drawn at Start.
func (h *Host) Password() string { return h.password }

// Cut makes the host unreachable: connections are closed and refused. What
// runs on it goes on.
func (h *Host) Cut() {
	h.cut.Store(true)
	h.server.CloseClientConnections()
	h.screens.cut(nil)
}

// Restore ends Cut.
func (h *Host) Restore() { h.cut.Store(false) }

// Close stops serving, at once, and removes the temporary folder.
func (h *Host) Close() {
	h.screens.cut(nil)
	_ = h.server.Config.Close() // not server.Close: it waits for callers that are waiting for updates
	h.model.Remove()
}

func randomUUID() fleet.UUID {
	var b [16]byte
	rand.Read(b[:])
	return fleet.NewUUIDv4(b)
}
