package mesh

import (
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
)

// fleetIdentity gives the members of a simulated fleet identities of one CA.
type fleetIdentity struct {
	tb       testing.TB
	ca       *identity.CA
	verifier *identity.BlockVerifier
}

func newFleetIdentity(tb testing.TB) *fleetIdentity {
	tb.Helper()
	ca, err := identity.NewCA("sim", time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	f := &fleetIdentity{tb: tb, ca: ca}
	f.verifier = f.issue(identity.Registry, fleet.UUID{1}).BlockVerifier()
	return f
}

func (f *fleetIdentity) issue(role identity.Role, id fleet.UUID) *identity.Identity {
	f.tb.Helper()
	pair, err := f.ca.Issue(identity.Subject{Role: role, ID: id, Name: "sim"}, time.Hour, time.Now())
	if err != nil {
		f.tb.Fatal(err)
	}
	own, err := identity.New(f.ca.CertPEM(), pair, time.Now())
	if err != nil {
		f.tb.Fatal(err)
	}
	return own
}

// sign makes every member of a fleet sign and verify. Of the members' memory of
// certificates there is one in the process; the signature of every head is
// verified by each of them.
func (f *fleetIdentity) sign(opts *meshtest.FleetOptions) {
	opts.Verifier = func(*meshtest.Member) replica.Verifier { return f.verifier }
	opts.Seal = func(m *meshtest.Member) func() ([]byte, func([]byte) []byte) { return f.seal(m.ID) }
}

func (f *fleetIdentity) seal(id fleet.HostID) func() ([]byte, func([]byte) []byte) {
	f.tb.Helper()
	signer, err := f.issue(identity.Agent, id).BlockSigner()
	if err != nil {
		f.tb.Fatal(err)
	}
	return signer.Current
}
