package proofs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// TestProof16AgentThatHasJustStartedDoesNotSpeakForItsHost asks an agent, from
// the first moment of a new life on, for an instance that it has: until it knows,
// it must not say that there is none, nor show what it had saved.
func TestProof16AgentThatHasJustStartedDoesNotSpeakForItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 16, 3, 1, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		if n, refused := w.createAtOnce(3); n != 3 {
			t.Fatalf("%d created, %v", n, refused)
		}
		w.Await(time.Minute, "three machines run", func() error {
			up := 0
			for id, on := range w.copies() {
				if on[0].isQuiet(id) {
					up++
				}
			}
			if up < 3 {
				return fmt.Errorf("%d run", up)
			}
			return nil
		})
		for id, on := range w.copies() {
			host := on[0]
			host.Kill()
			if err := host.Hypervisor.PowerOff(id); err != nil {
				t.Fatal(err)
			}
			host.Start()
			early := 0
			w.Await(time.Minute, host.Name+" tells what it has", func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				row, err := host.Client.OwnInstance(ctx, id)
				if errors.Is(err, &fleet.Error{Code: fleet.CodeNotFound}) || err == nil && row.Power != fleet.PowerStopped {
					t.Fatalf("%s shows %+v of an instance that is stopped, %v", host.Name, row, err)
				}
				own, hostErr := host.Client.OwnHost(ctx, host.ID)
				if hostErr == nil && own.Instances == 0 {
					t.Fatalf("%s shows no instance of its host", host.Name)
				}
				if errors.Is(err, &fleet.Error{Code: fleet.CodeNotReady}) {
					early++
				}
				return errors.Join(err, hostErr)
			})
			t.Logf("%s was asked too early %d times", host.Name, early)
		}
	})
}
