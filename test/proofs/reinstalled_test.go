package proofs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// Reinstall takes the agent's disk from a host that is down. Its hypervisor
// keeps its machines, and an operator issues the certificate again.
func (h *Host) Reinstall() {
	h.w.t.Helper()
	if err := os.RemoveAll(h.dir); err != nil {
		h.w.t.Fatal(err)
	}
	h.dir = ""
}

// TestProof07ReinstalledHostIsWhoItWasByItsCertificate takes the journal of a
// host that has machines, and is home of keys. It has both again by what its
// hypervisor's metadata and its peers say, and before that decides about no key.
func TestProof07ReinstalledHostIsWhoItWasByItsCertificate(t *testing.T) {
	const hosts, instances = 4, 12
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 70, hosts, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		made := map[string]fleet.Instance{}
		for n := range instances {
			key := fmt.Sprint("web-", n)
			made[key] = w.keyed(key)
		}
		host, kept := w.homeOfOthers(made)
		host.Kill()
		host.Reinstall()
		host.Start()
		w.Await(time.Minute, "the host says that it was reinstalled", func() error { return w.saysReinstalled(host) })
		if _, err := w.again(kept); fleet.CodeOf(err) != fleet.CodeKeyHomeUnreachable {
			t.Errorf("a home that may have forgotten answers: %v", err)
		}

		o := newOracle()
		w.Await(5*time.Minute, "it is trusted again, with all that it had", func() error { return errors.Join(w.heard(), w.trusted(host), w.toldBy(hosts, o)) })
		// A host that takes nothing new still answers for what it has: a home that
		// would have to look for it among those that take something would fail.
		if _, err := w.Registries[0].Client.ActHost(t.Context(), made[kept].Host, fleet.Cordon); err != nil {
			t.Fatal(err)
		}
		w.Await(time.Minute, "it is shown as cordoned", func() error {
			row, err := w.shownHost(w.hostOf(made[kept].Host))
			if err == nil && row.State != fleet.HostCordoned {
				err = fmt.Errorf("it is %s", row.State)
			}
			return err
		})
		for key, before := range made {
			after, err := w.again(key)
			if err != nil || after.ID != before.ID || after.Host != before.Host {
				t.Errorf("%s was on %s, and is answered with %s on %s, %v", key, before.HostName, after.ID, after.HostName, err)
			}
		}
		for id, on := range w.copies() {
			if len(on) != 1 {
				t.Errorf("instance %s is on %d hosts", id, len(on))
			}
		}
	})
}

// homeOfOthers returns a host that is home of the key of an instance elsewhere,
// and has an instance itself, with that key.
func (w *World) homeOfOthers(made map[string]fleet.Instance) (host *Host, key string) {
	w.t.Helper()
	var ids []fleet.HostID
	for _, h := range w.Hosts {
		ids = append(ids, h.ID)
	}
	for key, in := range made {
		home, _ := fleet.HomeOf(in.ID, ids)
		if h := w.hostOf(home); home != in.Host && len(h.Hypervisor.Machines()) > 0 {
			return h, key
		}
	}
	w.t.Fatal("every key has its home where its instance is")
	return nil, ""
}

// again sends a create again.
func (w *World) again(key string) (fleet.Instance, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	accepted, err := w.Registries[0].Client.CreateInstance(ctx, fleet.Create{Name: key, Flavor: "nano", Image: "tiny"}, client.CreateOptions{Key: key})
	return accepted.Instance, err
}

func (w *World) shownHost(host *Host) (fleet.Host, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	return w.Registries[0].Client.Host(ctx, host.ID)
}

func (w *World) saysReinstalled(host *Host) error {
	row, err := w.shownHost(host)
	if err == nil && (row.State != fleet.HostQuarantined || !strings.Contains(row.StateReason, "reinstalled")) {
		err = fmt.Errorf("it is %s: %s", row.State, row.StateReason)
	}
	return err
}

func (w *World) trusted(host *Host) error {
	row, err := w.shownHost(host)
	if err == nil && row.State != fleet.HostOK {
		err = fmt.Errorf("it is %s: %s", row.State, row.StateReason)
	}
	return err
}
