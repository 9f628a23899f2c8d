package proofs

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// TestProof12ThirdOfSixtyHostsLostIsShownAndComesBack kills 20 of 60 agents at
// once: everybody soon shows the others as they were, and those as unreachable
// with what they last said; nothing of theirs is dropped, nothing is doubled.
func TestProof12ThirdOfSixtyHostsLostIsShownAndComesBack(t *testing.T) {
	const hosts, lost = 60, 20
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 12, hosts, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		if n, refused := w.createAtOnce(2 * hosts); n != 2*hosts {
			t.Fatalf("%d created, %v", n, refused)
		}
		o := newOracle()
		w.Await(time.Minute, "all is told", func() error { return w.toldBy(hosts, o) })
		idle := w.bytesIn(time.Minute)

		for _, h := range w.Hosts[:lost] {
			h.Kill()
		}
		w.Await(time.Minute, "the lost are unreachable, the others as they were", func() error { return w.lostAre(lost, 2*hosts) })
		after := w.bytesIn(time.Minute)
		if after > 4*idle {
			t.Errorf("%d bytes went in the minute after the loss, and %d in the one before", after, idle)
		}
		for _, h := range w.Hosts[:lost] {
			h.Start()
		}
		w.Await(5*time.Minute, "all is as it was", func() error { return errors.Join(w.heard(), w.toldBy(hosts, o)) })
		t.Logf("%d bytes a minute before the loss, %d after", idle, after)
	})
}

// bytesIn returns how much streams carry in so long.
func (w *World) bytesIn(d time.Duration) uint64 {
	before := w.net.Bytes()
	time.Sleep(d)
	return w.net.Bytes() - before
}

// toldBy says what a registry shows that the hypervisors do not have, and the
// other way round.
func (w *World) toldBy(hosts int, o *oracle) error {
	for _, r := range w.Registries {
		list, err := r.Client.Hosts(w.t.Context())
		if err != nil || len(list.Items) != hosts {
			return fmt.Errorf("%s lists %d hosts, %w", r.Name, len(list.Items), err)
		}
		rows, err := r.Client.AllInstances(w.t.Context(), fleet.InstanceQuery{})
		if err != nil {
			return err
		}
		if err := o.healed(w, list.Items, rows.Items); err != nil {
			return err
		}
	}
	return nil
}

// lostAre says what is not as it must be once the first hosts are lost.
func (w *World) lostAre(lost, instances int) error {
	for _, r := range w.Registries {
		list, err := r.Client.Hosts(w.t.Context())
		if err != nil {
			return err
		}
		want := map[fleet.HostID]fleet.Reachability{}
		for i, h := range w.Hosts {
			want[h.ID] = fleet.ReachOK
			if i < lost {
				want[h.ID] = fleet.ReachUnreachable
			}
		}
		for i := range list.Items {
			if h := &list.Items[i]; h.Reachability != want[h.ID] {
				return fmt.Errorf("%s shows %s as %s", r.Name, h.Name, h.Reachability)
			}
		}
		rows, err := r.Client.AllInstances(w.t.Context(), fleet.InstanceQuery{})
		if err != nil || len(rows.Items) != instances {
			return fmt.Errorf("%s lists %d instances of %d, %w", r.Name, len(rows.Items), instances, err)
		}
		for i := range rows.Items {
			if row := &rows.Items[i]; row.Reachability != want[row.Host] || row.Power != fleet.PowerRunning {
				return fmt.Errorf("%s shows %s, %s, on a host that is %s", r.Name, row.Power, row.Reachability, want[row.Host])
			}
		}
	}
	return nil
}
