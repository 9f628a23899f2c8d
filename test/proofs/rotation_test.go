package proofs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// rootsOf reads the certificates of CAs.
func (w *World) rootsOf(cas ...*identity.CA) (out []*x509.Certificate) {
	w.t.Helper()
	for _, ca := range cas {
		block, _ := pem.Decode(ca.CertPEM())
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, cert)
	}
	return out
}

// turn has the fleet follow a list of these roots, signed by all of by, the issuers
// of the registries under the first.
func (w *World) turn(number int64, force bool, by []*identity.CA, roots ...*identity.CA) error {
	w.t.Helper()
	list := identity.Trust{Fleet: w.ca.Fleet(), Number: number, Roots: w.rootsOf(roots...)}
	for _, r := range w.Registries {
		if r.ca == nil {
			continue
		}
		again, err := roots[0].Recertify(w.rootsOf(r.ca)[0], time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		list.Issuers = append(list.Issuers, again)
	}
	text, err := identity.SignTrust(list, by)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.Registries[0].Client.ChangeTrust(w.t.Context(), fleet.ChangeTrust{Trust: string(text), Force: force, Reason: "the root's time is up"})
	return err
}

// identities are those of all nodes that are up.
func (w *World) identities() (out []*identity.Identity) {
	for _, h := range w.Hosts {
		if h.Up() {
			out = append(out, h.own)
		}
	}
	for _, r := range w.Registries {
		out = append(out, r.own)
	}
	return out
}

// follow waits until all that are up follow a list, and have a certificate of its
// first root.
func (w *World) follow(number int64) {
	w.t.Helper()
	w.Await(15*time.Minute, fmt.Sprintf("all follow list %d", number), func() error {
		for _, own := range w.identities() {
			if list := own.TrustNow(); list == nil || list.Number != number || own.Outdated() {
				return fmt.Errorf("%s does not: %v, its certificate is outdated: %v", own.Subject().Name, list != nil, list != nil && own.Outdated())
			}
		}
		return nil
	})
}

// TestRootIsRotatedWithNoRestart takes a fleet with machines from one root to
// another while agents are killed and one host is off: it comes back between,
// hears of the new root from nodes that it does not trust yet, and is renewed. One
// that is off at the end is waited for, and left behind only by force: it needs a
// token then. Its rows are those that were heard last, and no link of the others
// is missed.
func TestRootIsRotatedWithNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 93, 6, 2, fleet.Resources{VCPUs: 8, MemoryMiB: 4096, DiskGiB: 100})
		w.Registries[0].issues()
		w.Registries[1].issues()
		w.Await(time.Minute, "the registries are back", w.heard)
		o := newOracle()
		if n, refused := w.createAtOnce(12); n != 12 {
			t.Fatalf("%d created, %v", n, refused)
		}
		w.Await(time.Minute, "all is told", func() error { return w.toldBy(6, o) })
		old := w.ca
		next, err := identity.NewCA(old.Fleet(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		both := []*identity.CA{old, next}
		away, late := w.Hosts[5], w.Hosts[4]
		away.Kill()
		w.Await(5*time.Minute, "it counts as gone", func() error { return w.shownTo(w.Registries, away, fleet.ReachUnreachable) })

		// The new root beside the old one. Who signs it decides, not who sends it.
		if err := w.turn(1, true, []*identity.CA{next}, old, next); fleet.CodeOf(err) != fleet.CodeInvalid {
			t.Errorf("a root that the old one did not sign: %v", err)
		}
		if err := w.turn(1, false, both, old, next); err != nil {
			t.Fatal(err)
		}
		w.Hosts[0].Kill()
		w.Hosts[0].Start()
		w.follow(1)
		w.trustAs(next, old, next) // people have to be told

		// Certificates of the new root, of whatever life, while agents die.
		epochs := map[fleet.HostID]uint64{}
		for _, h := range w.Hosts[1:4] {
			row, err := w.shownHost(h)
			if err != nil {
				t.Fatal(err)
			}
			epochs[h.ID] = row.Version.Epoch
		}
		if err := w.turn(2, false, both, next, old); err != nil {
			t.Fatal(err)
		}
		late.Kill()
		late.Start()
		w.Registries[1].Kill()
		w.Registries[1].Start()
		w.follow(2)
		w.Await(5*time.Minute, "all that are up are heard", func() error {
			for _, h := range w.Hosts[:5] {
				if err := w.shownTo(w.Registries, h, fleet.ReachOK); err != nil {
					return fmt.Errorf("%s: %w", h.Name, err)
				}
			}
			return nil
		})
		for _, h := range w.Hosts[1:4] {
			row, err := w.shownHost(h)
			if err != nil || row.Version.Epoch != epochs[h.ID] {
				t.Errorf("%s was restarted: epoch %d, then %d, %v", h.Name, epochs[h.ID], row.Version.Epoch, err)
			}
		}

		// The old root cannot go while a host depends on it that nobody gave up.
		err = w.turn(3, false, both, next)
		if fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), away.Name) || strings.Contains(err.Error(), w.Hosts[0].Name) {
			t.Errorf("the old root is dropped while a host is off: %v", err)
		}
		away.Start()
		w.follow(2) // it trusted the old root alone, and nobody shows it a certificate of that
		w.Await(5*time.Minute, "it is in again", func() error { return w.shownTo(w.Registries, away, fleet.ReachOK) })

		// Another is off for good: it is left behind, by force.
		away.Kill()
		stays := w.Hosts[3]
		w.Await(5*time.Minute, "it counts as gone", func() error { return w.shownTo(w.Registries, away, fleet.ReachUnreachable) })
		w.Await(time.Minute, "its last certificate is known, so that it hinders nobody", func() error {
			report, err := w.Registries[0].Client.TrustReport(t.Context(), false)
			if err != nil {
				return err
			}
			if why := report.Hinders([]string{identity.RootName(w.rootsOf(next)[0])}); len(why) > 0 {
				return fmt.Errorf("%q", why)
			}
			return nil
		})
		late.Kill()
		late.own = w.issueOf(old, late)
		if err := w.turn(3, false, both, next); err != nil {
			t.Fatal(err)
		}
		w.follow(3)
		for _, own := range w.identities() {
			if !bytes.Equal(own.RootsPEM(), w.Hosts[0].own.RootsPEM()) || len(own.Roots()) != 1 {
				t.Errorf("%s trusts %d roots", own.Subject().Name, len(own.Roots()))
			}
		}
		away.Start()
		w.follow(3)
		before, err := w.shownHost(late)
		if err != nil {
			t.Fatal(err)
		}
		late.Start()
		time.Sleep(10 * time.Minute)
		// Gossip hears it, for it has the key; nobody takes what it says, or asks it.
		if after, err := w.shownHost(late); err != nil || after.Version != before.Version {
			t.Errorf("with a certificate of the old root it is heard: %v then %v, %v", before.Version, after.Version, err)
		}
		if _, err := w.Registries[0].Client.ActHost(t.Context(), late.ID, fleet.Cordon); err == nil {
			t.Error("with a certificate of the old root it is asked")
		}
		w.Await(30*time.Minute, "it knows that it was left behind", func() error {
			if list := late.own.TrustNow(); list == nil || list.Number != 3 || !late.own.Outdated() {
				return fmt.Errorf("it follows %v, and trusts %d roots", list != nil, len(late.own.Roots()))
			}
			return nil
		})
		late.Kill()
		late.own = w.issueOf(next, late)
		late.Start()
		w.Await(10*time.Minute, "enrolled again it is in", func() error {
			row, err := w.shownHost(late)
			if err == nil && row.Version.Epoch <= before.Version.Epoch {
				err = fmt.Errorf("it is heard as of epoch %d", row.Version.Epoch)
			}
			return err
		})
		w.Await(5*time.Minute, "all is told as before", func() error { return w.toldBy(6, o) })

		// What was said before is not gone back to, and the old root says nothing.
		for number, by := range map[int64][]*identity.CA{2: both, 4: {old}} {
			if err := w.turn(number, true, by, old, next); err == nil {
				t.Errorf("list %d is taken", number)
			}
		}
		thief := w.clientOf(w.issueOf(old, stays), w.Hosts[0])
		defer thief.Close()
		if _, err := thief.Hosts(t.Context()); err == nil {
			t.Error("the old root vouches for somebody still")
		}
	})
}

// trustAs gives the operator a certificate of a root, and the roots to trust.
func (w *World) trustAs(of *identity.CA, roots ...*identity.CA) {
	w.t.Helper()
	pair, err := of.Issue(w.operator.Subject(), 300*24*time.Hour, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	var trusted []byte
	for _, ca := range roots {
		trusted = append(trusted, ca.CertPEM()...)
	}
	if err := w.operator.Replace(trusted, pair, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	for _, h := range w.Hosts { // what is open was opened by the old one
		h.Client.Close()
	}
	for _, r := range w.Registries {
		r.Client.Close()
	}
}

// issueOf makes an identity of a host by a root, trusting that alone.
func (w *World) issueOf(ca *identity.CA, h *Host) *identity.Identity {
	w.t.Helper()
	before := w.ca
	w.ca = ca
	defer func() { w.ca = before }()
	return w.issue(identity.Agent, h.ID, h.Name)
}
