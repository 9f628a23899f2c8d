package proofs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// gone kills a host, and has it declared dead.
func (w *World) gone(h *Host) fleet.Decided {
	w.t.Helper()
	h.Kill()
	var done fleet.Decided
	w.Await(5*time.Minute, h.Name+" is declared dead", func() (err error) {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		done, err = w.Registries[0].Client.DecideHost(ctx, h.ID, fleet.DeclareDead, fleet.Decide{Reason: "it burnt"})
		return err
	})
	return done
}

// holdersOf are those that hold the record about a host, as the registry knows.
func (w *World) holdersOf(subject fleet.HostID) ([]fleet.HostID, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	list, err := w.Registries[0].Client.AllRecords(ctx, subject)
	if err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("%d records are about it", len(list.Items))
	}
	return list.Items[0].Holders, nil
}

// TestHolderOfARecordThatIsGivenUpIsReplaced loses, one after the other, all three
// disks that a record was on when it was answered. Each that is given up has a
// successor before the next is lost, so the record outlives them all.
func TestHolderOfARecordThatIsGivenUpIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 23, 8, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		subject := w.Hosts[7]
		first := w.gone(subject)
		given := []fleet.HostID{}
		for _, id := range first.Holders {
			w.gone(w.hostOf(id))
			given = append(given, id)
			w.Await(5*time.Minute, "three others hold the record", func() error {
				holders, err := w.holdersOf(subject.ID)
				left := slices.DeleteFunc(slices.Clone(holders), func(id fleet.HostID) bool { return slices.Contains(given, id) })
				if err == nil && len(left) < fleet.RecordHolders {
					err = fmt.Errorf("held by %v, of which %v were given up", holders, given)
				}
				return err
			})
		}
	})
}
