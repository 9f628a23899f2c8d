package dev

import (
	"fmt"
	"log/slog"

	"grapevine/drivers"
	"grapevine/drivers/esxi"
	"grapevine/drivers/esxi/vcsim"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// machine is what a host of the fleet runs on, and the driver for it.
type machine struct {
	name   string
	id     fleet.HostID
	driver drivers.Driver
	close  func()
}

// newMachine starts a host's hypervisor. Each has one machine on it that
// Grapevine did not make, as hosts in real life do.
func newMachine(kind fleet.Hypervisor, name string, log *slog.Logger) (machine, error) {
	if kind == fleet.ESXi {
		return newESXi(name, log)
	}
	hypervisor, err := simulated.New(simulated.Config{Hypervisor: kind, Hardware: "simulated " + name})
	if err != nil {
		return machine{}, fmt.Errorf("simulate host %s: %w", name, err)
	}
	if _, err := hypervisor.Define(simulated.Foreign{
		Name: "legacy-" + name, Running: true,
		Resources: fleet.Resources{VCPUs: 2, MemoryMiB: 2048, DiskGiB: 20},
	}); err != nil {
		return machine{}, fmt.Errorf("simulate host %s: %w", name, err)
	}
	return machine{name: name, id: newID(), driver: hypervisor.Connect(), close: func() {}}, nil
}

func newESXi(name string, log *slog.Logger) (machine, error) {
	id := newID()
	server, err := vcsim.Start(vcsim.Config{Name: name, UUID: id, Foreign: 1})
	if err != nil {
		return machine{}, fmt.Errorf("simulate host %s: %w", name, err)
	}
	driver, err := esxi.New(esxi.Config{
		URL: server.URL(), User: server.User(), Password: server.Password(), Thumbprint: server.Thumbprint(),
		Datastore: vcsim.DatastoreName, Network: vcsim.NetworkName, Log: log,
	})
	if err != nil {
		server.Close()
		return machine{}, fmt.Errorf("simulate host %s: %w", name, err)
	}
	return machine{name: name, id: id, driver: driver, close: server.Close}, nil
}
