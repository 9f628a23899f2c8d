package proofs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// stateOf is the state of a host as its own agent says it.
func (h *Host) stateOf() (fleet.Host, error) {
	ctx, cancel := context.WithTimeout(h.w.t.Context(), time.Second)
	defer cancel()
	return h.Client.OwnHost(ctx, h.ID)
}

// TestHostThatTheFleetMissedIsTrustedOnceItKnowsWhatThreePeersHold brings a host
// back that nobody gave up: within ten minutes it is as it was; after them it
// takes nothing and starts nothing until it has taken in what three peers hold,
// and then needs nobody's word.
func TestHostThatTheFleetMissedIsTrustedOnceItKnowsWhatThreePeersHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 5, 6, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		made := w.keyed("web")
		lost := w.hostOf(made.Host)
		w.without(fleet.MaxAbsence-time.Minute, lost)
		w.Await(time.Minute, "it is back", func() error {
			h, err := lost.stateOf()
			if err == nil && h.State != fleet.HostOK {
				t.Fatalf("missed for nine minutes, it is %s: %s", h.State, h.StateReason)
			}
			return err
		})

		lost.Kill()
		time.Sleep(fleet.MaxAbsence + time.Minute)
		var peers []string // all but two: gossip says that they are there, and nothing comes of them
		for _, h := range w.Hosts {
			if h != lost && len(peers) < len(w.Hosts)-3 {
				peers = append(peers, h.place.name)
			}
		}
		w.net.Partition([]string{lost.place.name}, peers)
		lost.Start()
		w.Await(5*time.Minute, "it is in quarantine and has asked whom it can reach", func() error {
			h, err := lost.stateOf()
			if err == nil && (h.State != fleet.HostQuarantined || !strings.Contains(h.StateReason, "2 of 3 peers")) {
				err = fmt.Errorf("it is %s: %s", h.State, h.StateReason)
			}
			return err
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := lost.Client.CreateInstance(ctx, fleet.Create{Name: "new", Flavor: "nano", Image: "tiny", Host: lost.Name}, client.CreateOptions{}); fleet.CodeOf(err) != fleet.CodeRefused {
			t.Errorf("a create in quarantine: got %v, want %s", err, fleet.CodeRefused)
		}
		time.Sleep(10 * time.Minute)
		if h, err := lost.stateOf(); err != nil || h.State != fleet.HostQuarantined || !strings.Contains(h.StateReason, "the fleet had not heard of it for 11m") {
			t.Errorf("ten minutes later it is %s: %s, %v", h.State, h.StateReason, err)
		}
		w.Mend()
		w.Await(5*time.Minute, "it is trusted", func() error { return w.trusted(lost) })
		if m := lost.machine(made.ID); m == nil || m.Power != fleet.PowerRunning {
			t.Errorf("it has %+v, want its machine running as it was", m)
		}
	})
}
