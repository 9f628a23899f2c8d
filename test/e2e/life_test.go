package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/fleet"
)

// A real Debian kernel boots under real QEMU, and all that is done to it at
// one registry is seen at the other and at every agent.
func TestLifeOfAnInstanceOnRealQEMU(t *testing.T) {
	w, real, agents, registries := fleetOnLibvirt(t)
	first, second := registries[0], registries[1]
	everywhere := append([]*node{second}, agents...)

	guest := real.guest()
	first.do("image", "import", "--name", "debian", "--host", "kvm-1", "--cmdline", "console=ttyS0 quiet no_timer_check",
		"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
	w.until("the second registry lists the image", func() error {
		if !strings.Contains(second.do("image", "list"), "debian") {
			return fmt.Errorf("it does not")
		}
		return nil
	})

	row := first.create("--name", "web", "--flavor", "micro", "--image", "debian", "--key", "life-1")
	if row.Power != fleet.PowerRunning || row.Fault != "" || row.HostName != "kvm-1" {
		t.Fatalf("created with power %q at %q, fault %q; want it running at kvm-1", row.Power, row.HostName, row.Fault)
	}
	w.seen("it running", row.ID, everywhere, has(fleet.PowerRunning))

	line := "tiny-guest: up, id " + row.ID.String()
	w.until("the guest's own line is in the log", func() error { return logged(second, row.ID, line, 1) })

	for _, step := range []struct {
		verb string
		want fleet.Power
	}{
		{"pause", fleet.PowerPaused},
		{"resume", fleet.PowerRunning},
		{"stop", fleet.PowerStopped},
		{"start", fleet.PowerRunning},
		{"reboot", fleet.PowerRunning},
	} {
		if step.verb == "reboot" {
			// The guest must be up to be asked.
			w.until("the guest is up again", func() error { return logged(second, row.ID, line, 2) })
		}
		first.do("instance", step.verb, row.ID.String(), "--wait", "80s")
		w.seen(step.verb+" done", row.ID, everywhere, has(step.want))
		if step.verb == "stop" {
			if err := logged(second, row.ID, "tiny-guest: power button", 1); err != nil {
				t.Errorf("the guest was not asked to shut down: %v", err)
			}
		}
	}
	w.until("the guest has rebooted", func() error { return logged(second, row.ID, line, 3) })

	// A snapshot of the running machine has its memory: after a revert the guest
	// goes on where it was, and does not boot.
	first.do("instance", "snapshot", "create", row.ID.String(), "up", "--wait", "80s")
	w.until("the other registry lists the snapshot", func() error {
		if list := second.do("instance", "snapshot", "list", row.ID.String()); !strings.Contains(list, "up") || !strings.Contains(list, "running") {
			return fmt.Errorf("it lists %s", list)
		}
		return nil
	})
	first.do("instance", "stop", row.ID.String(), "--force", "--wait", "80s")
	w.seen("it stopped", row.ID, everywhere, has(fleet.PowerStopped))
	first.do("instance", "snapshot", "revert", row.ID.String(), "up", "--wait", "80s")
	w.seen("it running again", row.ID, everywhere, has(fleet.PowerRunning))
	first.do("instance", "stop", row.ID.String(), "--wait", "80s") // the guest must hear it
	if err := logged(second, row.ID, "tiny-guest: power button", 2); err != nil {
		t.Errorf("the guest does not go on after the revert: %v", err)
	}
	if err := logged(second, row.ID, line, 4); err == nil {
		t.Error("the guest booted instead of going on")
	}

	first.do("instance", "snapshot", "delete", row.ID.String(), "up", "--wait", "80s")
	first.do("instance", "resize", row.ID.String(), "--flavor", "wide", "--wait", "80s")
	w.seen("it wide", row.ID, everywhere, func(row fleet.Instance) bool {
		return row.Flavor == "wide" && row.VCPUs == 2 && row.MemoryMiB == 160 && row.DiskGiB == 2
	})
	first.do("instance", "start", row.ID.String(), "--wait", "80s")
	w.until("the guest is up in its new size", func() error { return logged(second, row.ID, line, 4) })

	first.do("instance", "delete", row.ID.String(), "--wait", "80s")
	w.gone(row.ID, append(everywhere, first))
	if left := real.domains(); len(left) != 0 {
		t.Errorf("domains were left behind: %v", left)
	}
}

// logged says whether the console log has the line so many times.
func logged(at *node, id fleet.InstanceID, line string, times int) error {
	out, stderr, code := at.cli("instance", "log", id.String())
	if code != 0 {
		return fmt.Errorf("instance log: %s", stderr)
	}
	if n := strings.Count(out, line); n < times {
		return fmt.Errorf("the log has %q %d times, want %d; it ends with %q", line, n, times, out[max(0, len(out)-300):])
	}
	return nil
}

// What people do at the host is seen, and not undone.
func TestProof05WhatIsDoneByHandAtTheHostIsSeenAndLeftAlone(t *testing.T) {
	w, real, agents, registries := fleetOnLibvirt(t)
	everywhere := append(append([]*node{}, registries...), agents...)
	free := hostNamed(t, registries[1], "kvm-1").Capacity.MemoryMiB.Free

	id := real.byHand("legacy", 96)
	took := w.seen("the domain as foreign", id, everywhere, func(row fleet.Instance) bool {
		return row.Ownership == fleet.Foreign && row.Power == fleet.PowerRunning && row.Name == "legacy"
	})
	t.Logf("a domain started with virsh was seen at all %d nodes, asked one after the other, after %s", len(everywhere), took)
	if got := hostNamed(t, registries[1], "kvm-1").Capacity.MemoryMiB.Free; got != free-96 {
		t.Errorf("got %d MiB free, want %d: a foreign machine counts", got, free-96)
	}
	for _, verb := range []string{"stop", "delete"} {
		_, stderr, code := registries[0].cli("instance", verb, id.String())
		if code != 1 || !strings.Contains(stderr, "adopt") {
			t.Errorf("%s of a foreign machine: exit code %d, %q; want it refused, naming adopt", verb, code, stderr)
		}
	}
	registries[0].do("instance", "adopt", id.String(), "--wait", "80s")
	w.seen("it managed", id, everywhere, func(row fleet.Instance) bool {
		return row.Ownership == fleet.Managed && row.Power == fleet.PowerRunning
	})
	if out := registries[1].do("instance", "show", id.String()); !strings.Contains(out, "cpu used") {
		t.Errorf("the usage of a running machine is not shown:\n%s", out)
	}
	registries[1].do("instance", "disown", id.String(), "--wait", "80s")
	w.seen("it foreign again", id, everywhere, func(row fleet.Instance) bool {
		return row.Ownership == fleet.Foreign && row.Power == fleet.PowerRunning
	})
	registries[0].do("instance", "adopt", id.String(), "--wait", "80s")

	real.virsh("destroy", "legacy")
	took = w.seen("it stopped", id, everywhere, has(fleet.PowerStopped))
	t.Logf("virsh destroy was seen at all %d nodes, asked one after the other, after %s", len(everywhere), took)

	// A machine that comes later is seen by a later look: the first one was
	// not started again meanwhile.
	later := real.byHand("later", 96)
	w.seen("the later domain", later, everywhere, has(fleet.PowerRunning))
	if row, _ := registries[0].instance(id); row.Power != fleet.PowerStopped || row.Task != fleet.TaskNone {
		t.Errorf("got %q, task %q; want it left stopped", row.Power, row.Task)
	}
	if state := strings.TrimSpace(real.virsh("domstate", "legacy")); state != "shut off" {
		t.Errorf("libvirt says %q, want shut off", state)
	}
}

func hostNamed(t *testing.T, at *node, name string) fleet.Host {
	t.Helper()
	list := at.hosts()
	for _, host := range list.Items {
		if host.Name == name {
			return host
		}
	}
	t.Fatalf("%s lists no host %s", at.name, name)
	return fleet.Host{}
}

// A silent libvirtd is never read as stopped machines.
func TestProof04HaltedLibvirtdMarksItsRowsAndStopsNothing(t *testing.T) {
	w, real, agents, registries := fleetOnLibvirt(t)
	everywhere := append(append([]*node{}, registries...), agents...)
	id := real.byHand("legacy", 96)
	w.seen("the domain", id, everywhere, has(fleet.PowerRunning))

	real.halt()
	w.seen("it unreachable behind its hypervisor, and running as last seen", id, everywhere, func(row fleet.Instance) bool {
		if row.Power == fleet.PowerStopped {
			t.Error("a halted libvirtd was read as a stopped machine")
		}
		return row.Reachability == fleet.ReachHypervisorUnreachable && row.Power == fleet.PowerRunning
	})
	if host := hostNamed(t, registries[0], "kvm-1"); host.Reachability != fleet.ReachHypervisorUnreachable || host.HypervisorFault == "" {
		t.Errorf("the host is %q with fault %q; want hypervisor_unreachable and why", host.Reachability, host.HypervisorFault)
	}
	real.start()
	w.seen("it true again", id, everywhere, func(row fleet.Instance) bool {
		return row.Reachability == fleet.ReachOK && row.Power == fleet.PowerRunning
	})
}

// An agent killed at its worst moment leaves one machine.
func TestAgentKilledWhileBuildingOnRealQEMULeavesOneMachine(t *testing.T) {
	w, real, agents, registries := fleetOnLibvirt(t)
	guest := real.guest()
	registries[0].do("image", "import", "--name", "debian", "--host", "kvm-1", "--cmdline", "console=ttyS0 quiet no_timer_check",
		"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
	for i := range 3 {
		name := fmt.Sprintf("crash-%d", i)
		out := registries[0].do("instance", "create", "-o", "json", "--name", name, "--flavor", "nano", "--image", "debian", "--key", name)
		agents[0].kill() // the promise was made; the build has just begun
		id := firstInstance(t, out).ID
		agents[0].start()
		w.seen("it running after the restart", id, []*node{registries[1], agents[0]}, has(fleet.PowerRunning))
		if domains := real.domains(); len(domains) != i+1 {
			t.Fatalf("got domains %v, want %d", domains, i+1)
		}
		w.until("its memory is counted once", func() error {
			host := hostNamed(t, registries[1], "kvm-1")
			if got := host.Capacity.MemoryMiB.Allocated; got != int64(128*(i+1)) {
				return fmt.Errorf("%d MiB are allocated, want %d", got, 128*(i+1))
			}
			return nil
		})
	}
}
