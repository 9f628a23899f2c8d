package registry

import (
	"context"

	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
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
		Credentials: r.deps.Credentials, Desk: desk, Members: r.mesh.Members, Ask: r.peers.RenewCertificate, Renewed: r.peers.Reconnect, Log: r.deps.Log,
	})
	trust := func(ctx context.Context, at *fleet.Member) (fleet.Trust, error) {
		return r.peers.Trust(ctx, at, identity.StrangerTLS())
	}
	r.follower = enrol.NewFollower(enrol.FollowerConfig{
		Credentials: r.deps.Credentials, Heard: r.core.TrustLists, Members: r.mesh.Members, Ask: trust, Followed: r.peers.Reconnect, Log: r.deps.Log,
	})
	r.revocations = enrol.NewRevocations(r.deps.Identity, r.core.RevokedHosts, func() { r.mesh.Bar(); r.core.LookAgain() }, r.deps.Log)
	return desk
}
