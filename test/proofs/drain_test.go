package proofs

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// TestDrainOfManyMachinesWaitsForNobody drains a host of which many machines go
// down at once, each noted in the journal: nobody who writes there may be waited
// for in a mutex, which nothing could interrupt, and in which a world stands
// still for ever.
func TestDrainOfManyMachinesWaitsForNobody(t *testing.T) {
	const machines = 8
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 22, 1, 1, fleet.Resources{VCPUs: machines, MemoryMiB: machines * 128, DiskGiB: 100})
		host, at := w.Hosts[0], w.Registries[0].Client
		for n := range machines {
			key := fmt.Sprint("vm-", n)
			if _, err := at.CreateInstance(t.Context(), fleet.Create{Name: key, Flavor: "nano", Image: "tiny"}, client.CreateOptions{Key: key, Wait: time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := at.StartDrain(t.Context(), host.ID, aDrain); err != nil {
			t.Fatal(err)
		}
		w.Await(time.Minute, "all are down", func() error { return host.have(fleet.PowerStopped) })
		if _, err := at.Undrain(t.Context(), host.ID); err != nil {
			t.Fatal(err)
		}
		w.Await(time.Minute, "all are up again", func() error { return host.have(fleet.PowerRunning) })
	})
}

// have says which machine of the host is not in this state.
func (h *Host) have(power fleet.Power) error {
	for _, m := range h.Hypervisor.Machines() {
		if m.Power != power {
			return fmt.Errorf("machine %s is %s", m.ID, m.Power)
		}
	}
	return nil
}
