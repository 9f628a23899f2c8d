package proofs

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// issues makes a registry one that holds a CA, and begins it anew.
func (r *Registry) issues() {
	r.w.t.Helper()
	ca, err := r.w.ca.NewIntermediate(r.Name, 30*24*time.Hour, time.Now())
	if err != nil {
		r.w.t.Fatal(err)
	}
	r.Kill()
	r.ca = ca
	r.Start()
}

// TestHostOutlivesItsCertificate gives a host and a registry certificates that
// are about to end. Another registry renews both over HTTPS, and nobody is
// restarted or missed.
func TestHostOutlivesItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 90, 3, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		w.Registries[0].issues()
		h, r := w.Hosts[0], w.Registries[1]
		h.Kill()
		r.Kill()
		const life = 10 * time.Minute
		h.own, r.own = w.issueFor(life, identity.Agent, h.ID, h.Name), w.issueFor(life, identity.Registry, r.id, r.Name)
		h.Start()
		r.Start()
		end := time.Now().Add(life)
		w.Await(5*time.Minute, "both are renewed", func() error {
			for _, own := range []*identity.Identity{h.own, r.own} {
				if !own.NotAfter().After(end) {
					return fmt.Errorf("%s ends on %s", own.Subject().Name, own.NotAfter())
				}
			}
			return nil
		})
		time.Sleep(time.Until(end) + time.Minute)
		w.Await(time.Minute, "the registries hear every host", w.heard)
		if row, err := w.shownHost(h); err != nil || row.Reachability != fleet.ReachOK {
			t.Errorf("after the end of its first certificate the host is %s, %v", row.Reachability, err)
		}
	})
}
