package proofs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/agent/audit"
	"grapevine/api/client"
	"grapevine/fleet"
)

// auditOf reads a host's log through a registry, compares it with what all nodes
// have heard of it, and returns it with what is wrong.
func (w *World) auditOf(at *client.Client, host fleet.HostID) (entries []fleet.AuditEntry, heads fleet.AuditHeads, faults []string, err error) {
	if heads, err = at.AuditHeads(w.t.Context(), host, false); err != nil {
		return nil, heads, nil, err
	}
	var held []audit.Held
	for _, h := range heads.Items {
		held = append(held, audit.Held{AuditLink: h.AuditLink, By: h.NodeName})
	}
	var check *audit.Check
	_, head, err := at.WholeAudit(w.t.Context(), host, func(begin fleet.AuditLink, page []fleet.AuditEntry) {
		if check == nil {
			check = audit.NewCheck(begin, held)
		}
		check.Take(page...)
		entries = append(entries, page...)
	})
	if err != nil {
		return nil, heads, nil, err
	}
	return entries, heads, check.End(head), nil
}

// headHeardBy says why not so many nodes have heard of the newest entry of a
// host's log yet.
func (w *World) headHeardBy(at *client.Client, host fleet.HostID, nodes int) error {
	entries, heads, faults, err := w.auditOf(at, host)
	if err != nil || len(faults) > 0 || len(entries) == 0 {
		return errors.Join(fmt.Errorf("%d entries, faults %q", len(entries), faults), err)
	}
	newest, heard := entries[len(entries)-1].Link(), 0
	for _, h := range heads.Items {
		if h.AuditLink == newest {
			heard++
		}
	}
	if heard < nodes {
		return fmt.Errorf("%d nodes have heard of entry %d, not %d: %+v", heard, newest.Number, nodes, heads)
	}
	return nil
}

// act does something to an instance once the host's agent makes promises again.
func (w *World) act(host *Host, id fleet.InstanceID, action fleet.InstanceAction) {
	w.t.Helper()
	w.Await(time.Minute, string(action), func() error {
		_, err := host.Client.ActInstance(w.t.Context(), id, action, client.ActOptions{Force: true, Wait: time.Minute})
		return err
	})
}

// TestAuditLogThatWasCutBackIsCaughtByWhatOthersHeard puts an old copy of a
// host's journal in the place of the one that it has: every hash in it is right.
func TestAuditLogThatWasCutBackIsCaughtByWhatOthersHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 21, 4, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		made := w.keyed("web")
		host, at := w.hostOf(made.Host), w.Registries[0].Client
		entries, _, faults, err := w.auditOf(at, host.ID)
		if err != nil || len(faults) > 0 {
			t.Fatalf("faults %q, %v", faults, err)
		}
		claim := entries[len(entries)-1]
		if claim.Route != "PUT /v1/claims/{id}" || claim.Subject != made.ID.String() || claim.Who.Role != "registry" || claim.Operation == "" ||
			claim.For == nil || claim.For.Role != "operator" || claim.For.Name != "operator" || claim.For.Address == "" {
			t.Errorf("the create's entry is %+v (for %+v)", claim, claim.For)
		}

		host.Kill()
		old, err := os.ReadFile(filepath.Join(host.dir, "journal.db"))
		if err != nil {
			t.Fatal(err)
		}
		host.Start()
		w.Await(time.Minute, "the host is back", func() error { return w.covers(4, 4) })
		w.act(host, made.ID, fleet.Stop)
		w.Await(3*time.Minute, "everybody else has heard of the newest entry", func() error { return w.headHeardBy(at, host.ID, 5) })

		host.Kill()
		if err := os.WriteFile(filepath.Join(host.dir, "journal.db"), old, 0o600); err != nil {
			t.Fatal(err)
		}
		host.Start()
		w.Await(time.Minute, "the host is back again", func() error { return w.covers(4, 4) })
		_, _, faults, err = w.auditOf(at, host.ID)
		if err != nil || len(faults) != 1 || !strings.Contains(faults[0], "cut back") {
			t.Errorf("with an old journal the faults are %q, %v", faults, err)
		}
		// It goes on, past where it was: it is not the log that they heard of.
		for range 3 {
			for _, action := range []fleet.InstanceAction{fleet.Start, fleet.Stop} {
				w.act(host, made.ID, action)
			}
		}
		time.Sleep(3 * time.Minute)
		_, _, faults, err = w.auditOf(w.Registries[1].Client, host.ID)
		if err != nil || len(faults) == 0 || !strings.Contains(strings.Join(faults, " "), "written anew") {
			t.Errorf("when it has gone on the faults are %q, %v", faults, err)
		}
		other := w.Hosts[0]
		if other == host {
			other = w.Hosts[1]
		}
		if _, _, faults, err = w.auditOf(at, other.ID); err != nil || len(faults) > 0 {
			t.Errorf("the log of another host has faults %q, %v", faults, err)
		}
	})
}
