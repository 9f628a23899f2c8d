package registry

import (
	"context"

	"grapevine/enrol"
	"grapevine/fleet"
)

// openDesk makes what lets others in, and what renews the registry's own
// certificate.
func (r *Registry) openDesk() *enrol.Desk {
	desk := enrol.New(enrol.Config{
		Credentials: r.deps.Credentials, Life: r.cfg.CertificateLife, Log: r.deps.Log,
		Taken:      func(id fleet.HostID) bool { return r.mesh.Replica().Block(id) != nil },
		RevokedAt:  r.deps.Identity.RevokedAt,
		GossipKeys: r.mesh.GossipKeys, Members: r.mesh.JoinThrough,
	})
	r.renewer = enrol.NewRenewer(enrol.RenewerConfig{
		Credentials: r.deps.Credentials, Desk: desk, Members: r.mesh.Members, Ask: r.askCertificate, Renewed: r.peers.Reconnect, Log: r.deps.Log,
	})
	r.revocations = enrol.NewRevocations(r.deps.Identity, r.core.RevokedHosts, func() { r.mesh.Bar(); r.core.LookAgain() }, r.deps.Log)
	return desk
}

// askCertificate has a node that holds a CA renew this registry's certificate.
func (r *Registry) askCertificate(ctx context.Context, at *fleet.Member, ask fleet.RenewCertificate) (fleet.Joined, error) {
	peer, err := r.peers.At(at.API, at.ID)
	if err != nil {
		return fleet.Joined{}, err
	}
	return peer.RenewCertificate(ctx, ask)
}
